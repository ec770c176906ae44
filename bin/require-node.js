import { readFileSync } from 'node:fs'

/** Ends the process with one line where this Node is older than package.json asks for. */
export function requireNode() {
  const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  const wanted = /\d+\.\d+/.exec(engines.node)[0].split('.').map(Number)
  const found = process.versions.node.split('.').map(Number)
  if (found[0] > wanted[0] || (found[0] === wanted[0] && found[1] >= wanted[1])) return
  process.stderr.write(
    `mailmux: needs Node.js ${wanted.join('.')} or newer, this is ${process.versions.node}; ` +
      'install it from https://nodejs.org, or in a checkout run script/setup and call npx mailmux\n',
  )
  process.exit(69)
}

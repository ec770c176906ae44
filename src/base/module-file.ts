/**
 * Where a module lies that runs in a process or thread of its own. From src/ it is found beside this
 * one's folder; the bundle keeps its name below dist/, and puts this module one folder deep as well.
 *
 * @param name its name below src/, without ending: `daemon/worker-main`
 */
export function moduleFile(name: string): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`../${name}.${extension}`, import.meta.url)
}

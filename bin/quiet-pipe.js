/** A reader that has seen enough (`| head`) ends the program, quietly; `2>&1 | head` ends it so too. */
export function endWithReader() {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', ({ code }) => {
      // Of errors nobody reads, the program goes on.
      if (code === 'EPIPE' && stream === process.stdout) process.exit()
    })
  }
}

/**
 * Names of folders on the wire: modified UTF-7. RFC 3501 section 5.1.3. Octets are latin1 strings.
 */

/** Printable ASCII stands for itself, `&` for `&-`; the rest is UTF-16 in a base64 of its own. */
export function encodeFolderName(name: string): string {
  return name.replace(/&|[^\u0020-\u007e]+/g, (text) => {
    if (text === '&') return '&-'
    const units = Buffer.from(text, 'utf16le').swap16()
    return `&${units.toString('base64').replace(/=+$/, '').replaceAll('/', ',')}-`
  })
}

/** Undefined where it is no modified UTF-7, or not the one way to write that name. */
export function decodeFolderName(wire: string): string | undefined {
  const name = wire.replace(/&([A-Za-z0-9+,]*)-/g, (_, base64: string) => {
    if (base64 === '') return '&'
    const octets = Buffer.from(base64.replaceAll(',', '/'), 'base64')
    return octets.length % 2 === 0 ? octets.swap16().toString('utf16le') : '\ufffd'
  })
  return encodeFolderName(name) === wire ? name : undefined
}

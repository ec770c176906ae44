/** The form of a name in the header of GS2 mechanisms and in SCRAM (RFC 5801, RFC 5802). */

/** A pattern without groups. */
export const saslNamePattern = String.raw`(?:[^\0\x01,=]|=2C|=3D)+`

export function decodeSaslName(text: string): string {
  return text.replace(/=2C|=3D/g, (code) => (code === '=2C' ? ',' : '='))
}

export function encodeSaslName(octets: string): string {
  return octets.replace(/[,=]/g, (sign) => (sign === ',' ? '=2C' : '=3D'))
}

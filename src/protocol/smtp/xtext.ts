/** xtext: how extensions carry octets that a command line cannot hold. RFC 3461 section 4. */

// xchar, or an octet as two digits: upper case only.
const xtext = /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/
const printable = /^[ -~]*$/

/** The text; undefined where it is no xtext, or stands for anything but printable ASCII. */
export function decodeXtext(text: string): string | undefined {
  if (!xtext.test(text)) return undefined
  const decoded = text.replace(/\+(..)/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
  return printable.test(decoded) ? decoded : undefined
}

/** `text` is latin1. */
export function encodeXtext(text: string): string {
  return text.replace(/[^!-*,-<>-~]/g, (octet) => {
    const digits = octet.charCodeAt(0).toString(16).toUpperCase()
    return `+${digits.padStart(2, '0')}`
  })
}

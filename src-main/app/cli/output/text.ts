/** Text for terminals. */

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/gu

/** `text` with control characters made visible: names and messages come from files and guests, and must not drive the terminal. */
export function printable(text: string): string {
  return text.replace(CONTROL, (char) => `\\x${char.codePointAt(0)!.toString(16).padStart(2, '0')}`)
}

/** The same on one line. */
export function oneLine(text: string): string {
  return printable(text.replace(/\s*[\r\n]+\s*/g, ' '))
}

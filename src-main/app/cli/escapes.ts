/** Backslash escapes in the text of `coppice type`. */
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', e: '\u001b', '\\': '\\' }

/** \n \r \t \e \\ and \xHH become what they stand for; any other backslash stays as it is. */
export function unescapeText(text: string): string {
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|([nrte\\]))/g, (_all, hex: string | undefined, letter: string | undefined) =>
    hex === undefined ? ESCAPES[letter!]! : String.fromCharCode(parseInt(hex, 16)),
  )
}

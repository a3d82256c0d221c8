/** What is asked before text from the clipboard is typed into a terminal. Pure. */

/** Characters beyond which a paste is asked about even on one line: it would be typed for a long time. */
export const LARGE_PASTE = 16 * 1024
/** Characters of it that the question shows. */
export const SHOWN_PASTE = 4000

/**
 * The text as it may be typed: tabs and line ends stay, other control characters go. A clipboard can hold the sequence that ends a bracketed
 * paste (xterm's control sequences, "Bracketed Paste Mode"), with which a page could smuggle commands past the shell's guard.
 */
export function cleanPaste(text: string): string {
  // eslint-disable-next-line no-control-regex -- removing control characters is the point
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, '')
}

/** Lines of a text, whatever its line ends; a line end at the very end begins no new line. */
export function countLines(text: string): number {
  const lines = text.split(/\r\n|\r|\n/)
  return lines.at(-1) === '' ? lines.length - 1 : lines.length
}

/** True where a person should see the text first: a line end runs whatever stands before it. */
export function needsQuestion(text: string): boolean {
  return /[\r\n]/.test(text) || text.length > LARGE_PASTE
}

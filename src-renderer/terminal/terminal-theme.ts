/** The terminal's colours, from the tokens of the present theme. */
import type { ISearchOptions } from '@xterm/addon-search'
import type { ITheme } from '@xterm/xterm'
import { token } from '../ui/token-values.ts'

/** ECMA-48 SGR 30–37 and 90–97, in their order. */
const ANSI = [
  'black',
  'red',
  'green',
  'yellow',
  'blue',
  'magenta',
  'cyan',
  'white',
  'brightBlack',
  'brightRed',
  'brightGreen',
  'brightYellow',
  'brightBlue',
  'brightMagenta',
  'brightCyan',
  'brightWhite',
] as const satisfies readonly (keyof ITheme)[]

export function terminalTheme(): ITheme {
  const theme: ITheme = {
    background: token('--terminal-bg'),
    foreground: token('--terminal-fg'),
    cursor: token('--terminal-fg'),
    cursorAccent: token('--terminal-bg'),
    selectionBackground: token('--terminal-selection'),
    scrollbarSliderBackground: token('--line'),
    scrollbarSliderHoverBackground: token('--line-strong'),
    scrollbarSliderActiveBackground: token('--line-strong'),
  }
  ANSI.forEach((name, at) => (theme[name] = token(`--ansi-${at}`)))
  return theme
}

/** How a search marks what it finds. */
export function searchMarks(): NonNullable<ISearchOptions['decorations']> {
  const match = token('--terminal-match')
  const active = token('--terminal-match-active')
  return {
    matchBackground: match,
    matchOverviewRuler: match,
    activeMatchBackground: active,
    // The match is selected too, and the selection covers its colour.
    activeMatchBorder: token('--focus'),
    activeMatchColorOverviewRuler: active,
  }
}

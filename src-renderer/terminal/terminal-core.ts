/**
 * A terminal that outlives the component that shows it: xterm with its addons, its own element, and what both kinds of terminal (serial
 * console, host shell) need of it. `show` puts the element into a page and takes it out again; scrollback and screen stay in between.
 */
import { FitAddon } from '@xterm/addon-fit'
import { SearchAddon } from '@xterm/addon-search'
import { WebLinksAddon } from '@xterm/addon-web-links'
import { WebglAddon } from '@xterm/addon-webgl'
import { Terminal } from '@xterm/xterm'
import { utf8 } from '../../src-shared/base/bytes.ts'
import { DisposableStore, toDisposable, type Disposable } from '../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../src-shared/base/event.ts'
import { onThemeChange, token } from '../ui/token-values.ts'
import { followLink } from './links.ts'
import { terminalTheme } from './terminal-theme.ts'

export interface TerminalLook {
  /** CSS pixels. */
  fontSize: number
  /** Lines kept above the screen. */
  scrollback: number
}

/** ECMA-48 and xterm's control sequences: ends a half-read sequence (CAN), then what a program may have left switched on. */
const SETTLE = [
  '\x18',
  '\x1b[?1047l', // alternate screen; 1049 would move the cursor
  '\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l', // mouse reports
  '\x1b[?2004l', // bracketed paste
  '\x1b[?1l\x1b>', // cursor and keypad modes
  '\x1b[!p', // soft reset: cursor, scroll region, colours, character sets
].join('')

export class TerminalCore implements Disposable {
  readonly terminal: Terminal
  readonly search = new SearchAddon()
  #element = document.createElement('div')
  #fit = new FitAddon()
  #opened = false
  #replaying = false
  /** Writes one after the other, so that `#replaying` is right for each. */
  #writing: Promise<void> = Promise.resolve()
  #store = new DisposableStore()
  #onInput = new Emitter<Uint8Array>()

  /** What people type, and what the terminal answers to questions in the output. */
  readonly onInput: Event<Uint8Array> = this.#onInput.event

  constructor(look: TerminalLook) {
    this.#element.className = 'terminal-core'
    this.terminal = new Terminal({
      allowProposedApi: true,
      cursorBlink: false,
      cursorInactiveStyle: 'outline',
      drawBoldTextInBrightColors: false,
      fontFamily: token('--font-mono'),
      fontSize: look.fontSize,
      lineHeight: 1.15,
      linkHandler: { activate: followLink, allowNonHttpProtocols: false },
      macOptionIsMeta: true,
      // WCAG 2.2, 1.4.3: whatever colours the guest combines.
      minimumContrastRatio: 4.5,
      scrollback: look.scrollback,
      theme: terminalTheme(),
    })
    this.terminal.loadAddon(this.#fit)
    this.terminal.loadAddon(this.search)
    this.terminal.loadAddon(new WebLinksAddon(followLink))
    this.#swallowOldQuestions()
    this.terminal.onData((text) => this.#onInput.fire(utf8(text)))
    this.terminal.onBinary((text) => this.#onInput.fire(Uint8Array.from(text, (char) => char.charCodeAt(0))))
    this.#store.add(onThemeChange(() => (this.terminal.options.theme = terminalTheme())))
  }

  /**
   * Resolves when the terminal has parsed the bytes.
   * @param options.replay questions in the bytes (cursor position, device attributes …) are not answered
   */
  write(bytes: Uint8Array, options: { replay: boolean } = { replay: false }): Promise<void> {
    return this.#enqueue(() => bytes, options.replay)
  }

  #enqueue(bytes: () => Uint8Array | string, replay: boolean): Promise<void> {
    this.#writing = this.#writing.then(
      () =>
        new Promise((resolve) => {
          if (this.#store.disposed) return resolve()
          this.#replaying = replay
          this.terminal.write(bytes(), () => {
            this.#replaying = false
            resolve()
          })
        }),
    )
    return this.#writing
  }

  /** A line of ours, faint, on a line of its own. */
  note(text: string): void {
    void this.#enqueue(() => {
      const lineBreak = this.terminal.buffer.active.cursorX > 0 ? '\r\n' : ''
      return `\x1b[0m${lineBreak}\x1b[2m— ${text} —\x1b[0m\r\n`
    }, true)
  }

  settle(): void {
    void this.#enqueue(() => SETTLE, true)
  }

  /** Full reset and an empty scrollback, behind what is still to be written. */
  clear(): void {
    void this.#enqueue(() => '\x1bc\x1b[3J', true)
  }

  /** Whether anybody reads what is typed: a cursor that blinks says so; without a listener there is none until the terminal has the focus. */
  set listening(yes: boolean) {
    this.terminal.options.cursorBlink = yes
    this.terminal.options.cursorInactiveStyle = yes ? 'outline' : 'none'
  }

  configure(look: TerminalLook): void {
    this.terminal.options.fontSize = look.fontSize
    this.terminal.options.scrollback = look.scrollback
    this.fit()
  }

  /** Columns and rows that fill the element it is shown in. */
  fit(): void {
    if (this.#element.isConnected && this.#element.clientWidth > 0 && this.#element.clientHeight > 0) this.#fit.fit()
  }

  /** Puts the terminal into `place` until disposed; meanwhile it keeps to the size of `place`. */
  show(place: HTMLElement): Disposable {
    const shown = new DisposableStore()
    place.append(this.#element)
    if (!this.#opened) {
      this.#opened = true
      this.terminal.open(this.#element)
    }
    shown.defer(() => this.#element.remove())
    shown.add(this.#paintWithWebgl())
    const observer = new ResizeObserver(() => this.fit())
    observer.observe(place)
    shown.defer(() => observer.disconnect())
    this.fit()
    return shown
  }

  dispose(): void {
    this.#store.dispose()
    this.#onInput.dispose()
    this.terminal.dispose()
    this.#element.remove()
  }

  /** Browsers give few WebGL contexts, so one is held only while the terminal is shown; without one xterm paints with elements. */
  #paintWithWebgl(): Disposable {
    let addon: WebglAddon | null = new WebglAddon()
    const drop = (): void => {
      addon?.dispose()
      addon = null
    }
    try {
      addon.onContextLoss(drop)
      this.terminal.loadAddon(addon)
    } catch {
      drop()
    }
    return toDisposable(drop)
  }

  /**
   * Questions that a terminal answers by itself: answered when they were asked, they would be typed into the guest a second time when its
   * output is replayed. (xterm's control sequences: DSR, DA1–DA3, DECRQM, DECRQSS, OSC colour queries.)
   */
  #swallowOldQuestions(): void {
    const { parser } = this.terminal
    const swallow = (): boolean => this.#replaying
    for (const prefix of [undefined, '?', '>', '=']) {
      const at = prefix === undefined ? {} : { prefix }
      parser.registerCsiHandler({ ...at, final: 'c' }, swallow)
      parser.registerCsiHandler({ ...at, final: 'n' }, swallow)
      parser.registerCsiHandler({ ...at, intermediates: '$', final: 'p' }, swallow)
    }
    parser.registerDcsHandler({ intermediates: '$', final: 'q' }, swallow)
    for (const code of [4, 10, 11, 12]) parser.registerOscHandler(code, (data) => this.#replaying && data.includes('?'))
  }
}

/** The host terminals of this window, each with its terminal: leaving the page keeps them running. */
import { DisposableStore, type Disposable } from '../../../src-shared/base/disposable.ts'
import type { Host } from '../../client/host.ts'
import { TerminalCore, type TerminalLook } from '../../terminal/terminal-core.ts'
import { ShellSession, type ShellStatus } from './shell-session.ts'

/** Before the page has a size: what terminals have been since the VT100. */
const FIRST_SIZE = { cols: 80, rows: 24 }

export class Shell implements Disposable {
  readonly number: number
  readonly core: TerminalCore
  #session: ShellSession
  #store = new DisposableStore()
  status = $state.raw<ShellStatus>({ kind: 'opening' })
  #name = $state('Shell')

  constructor(host: Host, number: number, look: TerminalLook) {
    this.number = number
    this.core = this.#store.add(new TerminalCore(look))
    this.core.listening = true
    this.#session = this.#store.add(new ShellSession(host, this.core, FIRST_SIZE))
    this.#store.add(this.core.onInput((bytes) => this.#session.type(bytes)))
    this.#store.add(this.core.terminal.onResize((size) => this.#session.resize(size)))
    this.#store.add(
      this.#session.onStatus((status) => {
        this.status = status
        if (status.kind === 'open') this.#name = status.shell.split(/[/\\]/).at(-1) ?? this.#name
        this.core.listening = status.kind === 'open'
      }),
    )
  }

  get title(): string {
    return `${this.#name} ${this.number}`
  }

  dispose(): void {
    this.#store.dispose()
  }
}

export class Shells implements Disposable {
  #host: Host
  #nextNumber = 1
  list = $state.raw<Shell[]>([])
  chosen = $state.raw<Shell | null>(null)

  constructor(host: Host) {
    this.#host = host
  }

  open(look: TerminalLook): void {
    const shell = new Shell(this.#host, this.#nextNumber++, look)
    this.list = [...this.list, shell]
    this.chosen = shell
  }

  close(shell: Shell): void {
    const at = this.list.indexOf(shell)
    this.list = this.list.filter((other) => other !== shell)
    if (this.chosen === shell) this.chosen = this.list[Math.min(at, this.list.length - 1)] ?? null
    if (this.list.length === 0) this.#nextNumber = 1
    shell.dispose()
  }

  dispose(): void {
    for (const shell of this.list) shell.dispose()
    this.list = []
    this.chosen = null
  }
}

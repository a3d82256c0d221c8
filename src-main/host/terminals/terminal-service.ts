/**
 * Shells on this computer, through node-pty, which is loaded with the first terminal. Flow control: what the peer has no credit for is counted,
 * and above a mark the pty is paused, so that the kernel stops the program that prints.
 */
import { stat } from 'node:fs/promises'
import { homedir, userInfo } from 'node:os'
import { basename, isAbsolute } from 'node:path'
import type { IPty } from 'node-pty'
import type { terminals } from '../../../src-shared/api/terminals.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import { shellOf, terminalEnvironment } from './terminal-environment.ts'

/** Bytes that wait for the peer: above the first the pty is paused, below the second it goes on. */
export const HIGH_WATER = 100_000
export const LOW_WATER = 5_000
const MAX_TERMINALS = 50
/** ms between asking a terminal's programs to end and ending them. */
const GRACE = 2000

export class TerminalService implements Disposable {
  #allowed: boolean
  #open = new Map<string, Terminal>()

  readonly handlers: Handlers<typeof terminals> = {
    open: (size, stream) => this.#openTerminal(size, stream),
    resize: ({ terminal, cols, rows }) => {
      const found = this.#open.get(terminal)
      if (!found) throw new AppError('not-found', 'That terminal has ended.', { subject: terminal })
      found.resize(cols, rows)
    },
  }

  /** @param options.allowed false: every open is refused with `denied` */
  constructor(options: { allowed: boolean }) {
    this.#allowed = options.allowed
  }

  /** Ends every terminal and what runs in it. */
  dispose(): void {
    for (const terminal of [...this.#open.values()]) terminal.end()
  }

  async #openTerminal(
    { cols, rows, cwd }: { cols: number; rows: number; cwd: string | null },
    stream: ByteStream,
  ): Promise<{ terminal: string; shell: string }> {
    if (!this.#allowed)
      throw new AppError('denied', 'Terminals on this computer are off here. Start Coppice with --allow-terminal to have them.')
    if (this.#open.size >= MAX_TERMINALS) throw new AppError('busy', `There are ${MAX_TERMINALS} terminals open already. Close some.`)
    const folder = await startFolder(cwd)
    const { spawn } = await loadPty()
    const shell = shellOf(process.env, process.platform, userInfo().shell)
    const id = newId()
    let pty: IPty
    try {
      // Bytes, not text: a character may be cut in two between reads. (On Windows node-pty gives text all the same.)
      pty = spawn(shell.file, shell.args, {
        cols,
        rows,
        cwd: folder,
        env: terminalEnvironment(process.env, process.platform),
        name: 'xterm-256color',
        ...(process.platform === 'win32' ? {} : { encoding: null }),
      })
    } catch (error) {
      throw asAppError(error, `Starting the shell “${shell.file}”`)
    }
    this.#open.set(id, new Terminal(pty, stream, () => this.#open.delete(id)))
    return { terminal: id, shell: basename(shell.file) }
  }
}

/** One pty joined to one stream. */
class Terminal {
  #pty: IPty
  #stream: ByteStream
  #waiting = 0
  #paused = false
  #exited = false

  constructor(pty: IPty, stream: ByteStream, onEnd: () => void) {
    this.#pty = pty
    this.#stream = stream
    pty.onData((data: string | Uint8Array) => this.#print(typeof data === 'string' ? utf8(data) : data))
    pty.onExit(() => {
      this.#exited = true
      onEnd()
      // Everything printed is queued before this: the peer reads it all, then the end.
      stream.write(new Uint8Array()).then(
        () => stream.close(),
        () => {},
      )
    })
    stream.onClose(() => this.end())
    if (stream.closed) this.end()
    void this.#type()
  }

  resize(cols: number, rows: number): void {
    if (!this.#exited) this.#pty.resize(cols, rows)
  }

  /** Hangs up: the shell and the programs of its process group are asked to end, and after a while made to. */
  end(): void {
    if (this.#exited) return
    this.#resume()
    if (process.platform === 'win32') {
      this.#pty.kill()
      return
    }
    signalGroup(this.#pty.pid, 'SIGHUP')
    setTimeout(() => {
      if (!this.#exited) signalGroup(this.#pty.pid, 'SIGKILL')
    }, GRACE).unref()
  }

  #print(bytes: Uint8Array): void {
    this.#waiting += bytes.length
    if (this.#waiting > HIGH_WATER && !this.#paused) {
      this.#paused = true
      this.#pty.pause()
    }
    const done = (): void => {
      this.#waiting -= bytes.length
      if (this.#waiting < LOW_WATER) this.#resume()
    }
    this.#stream.write(bytes).then(done, done)
  }

  #resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#pty.resume()
  }

  async #type(): Promise<void> {
    const decoder = new TextDecoder()
    try {
      for await (const bytes of this.#stream) {
        if (this.#exited) return
        this.#pty.write(process.platform === 'win32' ? decoder.decode(bytes, { stream: true }) : Buffer.from(bytes))
      }
      // The peer types no more: as closing a terminal's window.
      this.end()
    } catch {
      // The stream was closed with an error; onClose ends the terminal.
    }
  }
}

function signalGroup(pid: number, signal: 'SIGHUP' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // It has ended already.
  }
}

async function startFolder(wish: string | null): Promise<string> {
  if (wish === null) return homedir()
  const folder = isAbsolute(wish) ? await stat(wish).catch(() => null) : null
  if (!folder?.isDirectory()) throw new AppError('not-found', `There is no folder “${wish}” to start the terminal in.`, { subject: wish })
  return wish
}

/** @throws AppError `unavailable` where the native module is not built for this computer */
export async function loadPty(): Promise<typeof import('node-pty')> {
  try {
    return await import('node-pty')
  } catch (error) {
    throw new AppError('unavailable', 'Terminals cannot be opened: the module node-pty does not load on this computer.', {}, error)
  }
}

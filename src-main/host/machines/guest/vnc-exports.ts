/** Which machines' screens are offered to VNC viewers now: those that run and whose configuration says so. Changes apply while they run. */
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { MachineState } from '../../../../src-shared/model/machine-state.ts'
import type { MachinePatch } from '../../../../src-shared/model/machine.ts'
import type { ByteStream } from '../../../../src-shared/rpc/byte-stream.ts'
import type { Log } from '../../log/log.ts'
import { converse } from '../../vnc/converse.ts'
import { joinEngine } from '../../vnc/handshake.ts'
import { readVncPassword, writeVncPassword } from '../../vnc/password-file.ts'
import { LOOPBACK, VncServer } from '../../vnc/vnc-server.ts'
import { joinStreams } from './machine-console.ts'
import { openEngineDisplay } from './machine-display.ts'
import type { Machine } from '../machine.ts'
import { wrongState } from '../wrong-state.ts'

const SHOWN: readonly MachineState[] = ['running', 'paused', 'stopping', 'suspending']

interface Export {
  /** What it was made for: another life or other settings need another. */
  key: string
  server: VncServer
}

export class VncExports implements Disposable {
  #log: Log
  #exports = new Map<string, Export>()

  constructor(log: Log) {
    this.#log = log
  }

  /** The machine may have changed: begins, ends or leaves alone. */
  follow(machine: Machine): void {
    const { id, session, state, bundle } = machine
    const wish = bundle.config?.vncExport
    const key = wish?.enabled && session && !session.end && SHOWN.includes(state) ? `${session.life} ${wish.port}` : null
    const old = this.#exports.get(id)
    if ((old?.key ?? null) === key) return
    old?.server.dispose()
    this.#exports.delete(id)
    if (key === null) return machine.setVnc(null)
    const server = new VncServer({
      name: bundle.name,
      password: () => passwordOf(machine),
      show: (viewer, rest) => show(machine, viewer, rest),
      log: this.#log,
    })
    this.#exports.set(id, { key, server })
    void this.#open(machine, server, wish!.port)
  }

  /** @throws AppError `invalid-input` where the screen would be offered without a password */
  async check(machine: Machine, { vncExport }: MachinePatch): Promise<void> {
    if (!vncExport?.enabled || (await readVncPassword(machine.bundle.folder)) !== null) return
    throw AppError.invalid([{ path: 'vncExport', message: 'Set a VNC password first: a screen is never offered without one.' }])
  }

  /** The person asked for it once more: what failed is tried again. */
  retry(machine: Machine): void {
    if (!machine.view().vnc?.problem) return
    this.#exports.get(machine.id)?.server.dispose()
    this.#exports.delete(machine.id)
    this.follow(machine)
  }

  /** From now on; who looks with the old one is disconnected. */
  async setPassword(machine: Machine, password: string): Promise<void> {
    await machine.hold('being changed', () => {
      const { bundle } = machine
      if (!bundle.config) throw bundle.problem ?? wrongState('edit', bundle.name, 'broken')
      return writeVncPassword(bundle.folder, password)
    })
    this.#exports.get(machine.id)?.server.dropViewers()
    this.retry(machine)
  }

  dispose(): void {
    for (const { server } of this.#exports.values()) server.dispose()
    this.#exports.clear()
  }

  async #open(machine: Machine, server: VncServer, port: number | null): Promise<void> {
    const isCurrent = (): boolean => this.#exports.get(machine.id)?.server === server
    try {
      if (machine.bundle.config?.display === 'none')
        throw new AppError('unsupported', `“${machine.bundle.name}” has no screen to offer. Give it one in its hardware settings.`)
      await passwordOf(machine)
      if (!isCurrent()) return
      const address = `${LOOPBACK}:${await server.listen(port)}`
      if (isCurrent()) machine.setVnc({ address, problem: null })
    } catch (error) {
      const problem = asAppError(error, 'Offering the screen to VNC viewers')
      this.#log.warn('machines', problem.message, { machine: machine.bundle.name, error: problem })
      if (isCurrent()) machine.setVnc({ address: null, problem: problem.toWire() })
    }
  }
}

async function passwordOf({ bundle }: Machine): Promise<string> {
  const password = await readVncPassword(bundle.folder)
  if (password !== null) return password
  throw new AppError('not-found', `“${bundle.name}” has no VNC password. Set one to offer its screen.`)
}

/** The handshake with the engine is ours: the viewer has done its own. */
async function show(machine: Machine, viewer: ByteStream, rest: Uint8Array): Promise<void> {
  const { session, stream } = await openEngineDisplay(machine)
  try {
    const { rest: early } = await converse(stream, joinEngine())
    if (rest.length > 0) await stream.write(rest)
    if (early.length > 0) await viewer.write(early)
  } catch (error) {
    stream.close()
    throw error
  }
  await joinStreams(stream, viewer, session, 'Showing the screen to a VNC viewer')
}

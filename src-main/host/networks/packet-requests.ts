/** What is asked of the packets that the network thread keeps: files, lists as they come, single ones, whole flows. */
import type { FlowView, PacketsTarget, PacketView } from '../../../src-shared/api/networks.ts'
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import { unseen } from '../planner/plan-bridge.ts'
import type { TaskService } from '../tasks/task-service.ts'
import type { MachinePlugs } from './machine-plugs.ts'
import type { NetworksFile } from './networks-file.ts'
import { portName, type NetworkWiring } from './network-wiring.ts'

export interface PacketParts {
  wiring: NetworkWiring
  file: NetworksFile
  plugs: MachinePlugs
  tasks: TaskService
}

/** As the thread calls it, and as people do. */
interface Target {
  target: { port: string } | { network: string }
  words: string
}

export class PacketRequests {
  #parts: PacketParts

  constructor(parts: PacketParts) {
    this.#parts = parts
  }

  /** See `capture` of api/networks.ts. */
  async capture(order: { target: PacketsTarget; path: string; last: number | null; duration: number | null }): Promise<TaskStarted> {
    const { path, last, duration } = order
    const { target, words } = await this.#targetOf(order.target)
    if ((last === null) === (duration === null))
      throw AppError.invalid([{ path: 'last', message: 'Say either how far back the capture reaches, or how long it takes.' }])
    const title = `Capturing packets of ${words}`
    return this.#parts.tasks.start({ kind: 'capture-packets', title, machine: null }, ({ signal, step }) =>
      this.#parts.wiring.use(async (service) => {
        step(last === null ? 'Waiting for packets' : 'Writing packets')
        if (last !== null) return figures(await service.capture({ target, path, last, duration }, { signal }))
        // Who cancels it has enough, and wants to know what it became.
        signal.throwIfAborted()
        const id = newId()
        const whole = service.capture({ target, path, last, duration, id })
        const enough = (): void => void service.endCapture({ id }).catch(() => {})
        signal.addEventListener('abort', enough, { once: true })
        return figures(await whole)
      }),
    )
  }

  /** See `packets` of api/networks.ts. Resolves when the list is open. */
  async list(of: PacketsTarget, filter: string, kept: boolean, stream: ByteStream): Promise<void> {
    const { target } = await this.#targetOf(of)
    const { promise: opened, resolve, reject } = Promise.withResolvers<void>()
    // The thread is held for as long as somebody reads.
    void this.#parts.wiring
      .use(async (service) => {
        const { stream: packets } = await service.packets({ target, filter, kept })
        resolve()
        const gone = stream.onClose(() => packets.close())
        if (stream.closed) packets.close()
        try {
          for (let bytes = await packets.read(); bytes; bytes = await packets.read()) await stream.write(bytes)
          stream.close()
        } catch (error) {
          if (!stream.closed) stream.close(asAppError(error, 'Listing packets'))
        } finally {
          gone.dispose()
          packets.close()
        }
      })
      .catch(reject)
    return opened
  }

  /** Null where it is no longer kept. */
  async packet(id: string): Promise<PacketView | null> {
    const packet = await this.#parts.wiring.ask((service) => service.packet({ id }))
    return packet && { ...packet, bytes: base64(packet.bytes) }
  }

  /** Null where it is no longer kept, or in none. */
  async flow(id: string): Promise<FlowView | null> {
    const flow = await this.#parts.wiring.ask((service) => service.flow({ id }))
    return flow && { ...flow, parts: flow.parts.map(({ from, bytes }) => ({ from, bytes: base64(bytes) })) }
  }

  /** @throws AppError `not-found`, `wrong-state` and `unsupported` where there are no packets of it */
  async #targetOf(target: PacketsTarget): Promise<Target> {
    const { file, plugs, wiring } = this.#parts
    if ('alert' in target) return { target: { port: `alert/${target.alert}` }, words: 'an alert' }
    if ('network' in target) {
      const { name } = file.get(target.network)
      const bridge = [...plugs.joined().values()].find(({ network }) => network === name)
      if (bridge && ![...wiring.state.ports.values()].some(({ network }) => network === name))
        throw new AppError('unsupported', `Of machines in “${name}”: ${unseen(bridge.card)}`, { subject: name })
      return { target, words: `“${target.network}”` }
    }
    const found = await plugs.find(target.machine, target.nic)
    const { machine, nic } = found
    const { name } = machine.bundle
    if (nic.network === null)
      throw new AppError('wrong-state', `The network card “${nic.id}” of “${name}” is plugged in nowhere.`, { subject: nic.id })
    plugs.refuseJoined(found)
    return { target: { port: portName(machine.id, nic.id) }, words: `“${name}”` }
  }
}

function figures({ frames, bytes }: { frames: number; bytes: number }): { frames: number; bytes: number } {
  return { frames, bytes }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

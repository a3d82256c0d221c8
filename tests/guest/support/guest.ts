/** A machine on an engine's thread, as tests drive it: started, typed at, waited for. Nothing here knows the host. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { threadUrl } from '../../../src-main/threads/thread-url.ts'
import { Emitter, nextValue } from '../../../src-shared/base/event.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import { newId } from '../../../src-shared/base/ids.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import { nodePort, portWire } from '../../../src-shared/rpc/wires/message-port-wire.ts'
import { Counters } from '../../../src-shared/threads/counters.ts'
import { engineThread, type EngineEvent } from '../../../src-shared/threads/engine-thread.ts'
import { qemuThread } from '../../../src-shared/threads/qemu-thread.ts'
import type { GuestFiles } from './appliance.ts'
import type { MemoryDisk } from './memory-disk.ts'
import { memoryPlace } from '../../support/memory-place.ts'

/** For one thing a guest is asked to do, ms: a busy computer boots slowly. */
export const GUEST_LIMIT = 120_000

export interface GuestOptions {
  spec?: Partial<MachineSpec>
  disks?: Record<string, MemoryDisk>
  memory?: string | null
}

/** A spec that boots Coppice Linux to a shell on its first serial port. */
export function linuxSpec(files: GuestFiles, logFolder: string, changes: Partial<MachineSpec> = {}): MachineSpec {
  return {
    id: newId(),
    name: 'guest',
    engine: 'embedded',
    arch: 'i386',
    cpus: 1,
    memoryMiB: 128,
    firmware: { bios: files.firmware.bios, vgaBios: files.firmware.vgaBios },
    boot: { kind: 'kernel', kernel: files.linux.kernel, initrd: files.linux.initrd, cmdline: files.linux.cmdline },
    drives: [],
    nics: [],
    serialPorts: 1,
    sharedFolders: [],
    logFolder,
    qemu: null,
    ...changes,
  }
}

export class Guest {
  readonly spec: MachineSpec
  readonly engine: Client<typeof engineThread>
  readonly counters = new Counters()
  readonly events: EngineEvent[] = []
  readonly logFolder: string
  #worker: Worker
  #rpc: RpcClient
  #onEvent = new Emitter<EngineEvent>()
  #onOutput = new Emitter<void>()
  #stream: ByteStream | null = null
  #commands = 0
  /** All output of the first serial port, one character for each byte. */
  output = ''

  private constructor(spec: MachineSpec, logFolder: string) {
    this.spec = spec
    this.logFolder = logFolder
    this.#worker = new Worker(threadUrl(spec.engine))
    this.#rpc = new RpcClient(portWire(nodePort(this.#worker, 'exit', () => void this.#worker.terminate())))
    this.engine = this.#rpc.service(engineThread)
    this.engine.events((event) => {
      this.events.push(event)
      this.#onEvent.fire(event)
    })
  }

  /** Built, not started. */
  static async create(files: GuestFiles, options: GuestOptions = {}): Promise<Guest> {
    const logFolder = await mkdtemp(join(tmpdir(), 'coppice-guest-'))
    const guest = new Guest(linuxSpec(files, logFolder, options.spec), logFolder)
    try {
      const blocks = Object.fromEntries(Object.entries(options.disks ?? {}).map(([id, disk]) => [id, disk.port]))
      await guest.engine.create(
        { spec: guest.spec, blocks, counters: guest.counters.buffer, memory: options.memory ? memoryPlace(options.memory) : null },
        { transfer: Object.values(blocks) },
      )
      return guest
    } catch (error) {
      await guest.close()
      throw error
    }
  }

  static async start(files: GuestFiles, options: GuestOptions = {}): Promise<Guest> {
    const guest = await Guest.create(files, options)
    await guest.start()
    return guest
  }

  /** Up to its first prompt. */
  static async boot(files: GuestFiles, options: GuestOptions = {}): Promise<Guest> {
    const guest = await Guest.start(files, options)
    try {
      await guest.event((event) => event.kind === 'booted')
      return guest
    } catch (error) {
      // A machine that is a process would run on.
      await guest.close()
      throw error
    }
  }

  async start(): Promise<void> {
    const { machine } = this
    await this.engine.start({ machine })
    await this.#listen()
  }

  async #listen(): Promise<void> {
    const { machine } = this
    const { stream } = await this.engine.serial({ machine, port: 0, from: null })
    this.#stream = stream
    void this.#follow(stream)
  }

  get machine(): string {
    return this.spec.id
  }

  async type(text: string): Promise<void> {
    await this.#stream!.write(utf8(text))
  }

  /** Resolves with all output since `from` once it matches. */
  async expectSerial(pattern: RegExp, from = 0): Promise<string> {
    const signal = AbortSignal.timeout(GUEST_LIMIT)
    while (!pattern.test(this.output.slice(from))) {
      try {
        await nextValue(this.#onOutput.event, () => true, signal)
      } catch {
        throw new Error(`The guest did not print ${String(pattern)}. Its last words: ${this.output.slice(-600)}`)
      }
    }
    return this.output.slice(from)
  }

  /** What a shell command printed. */
  async run(command: string): Promise<string> {
    const tag = `done-${++this.#commands}`
    const from = this.output.length
    // The echo of the command must not look like its end, and its last line may be without one.
    await this.type(`${command}; echo; echo "${tag.slice(0, 3)}""${tag.slice(3)}"\n`)
    const seen = printable(await this.expectSerial(new RegExp(`^${tag}\\r?$`, 'm'), from))
    // The terminal echoes what is typed before the prompt, and the shell's line editor once more after it.
    const echo = seen.lastIndexOf(`"${tag.slice(3)}"`)
    const body = seen.slice(seen.indexOf('\n', echo) + 1)
    return body.slice(0, body.indexOf(tag)).trim()
  }

  /** Resolves with the first event that passes, also an earlier one from `from` on. */
  async event(accept: (event: EngineEvent) => boolean, from = 0): Promise<EngineEvent> {
    const known = this.events.slice(from).find(accept)
    if (known) return known
    try {
      return await nextValue(this.#onEvent.event, accept, AbortSignal.timeout(GUEST_LIMIT))
    } catch {
      throw new Error(`The event did not come. There were: ${JSON.stringify(this.events)}`)
    }
  }

  /** Goes on with a machine that runs although its thread ended; its console shows what it printed before. */
  static async adopt(spec: MachineSpec): Promise<Guest> {
    const guest = new Guest(spec, spec.logFolder)
    const request = { machine: spec.id, logFolder: spec.logFolder, counters: guest.counters.buffer }
    await guest.#rpc.service(qemuThread).adopt(request)
    await guest.#listen()
    return guest
  }

  /** Ends the thread alone, as a fault does. A machine that is a process runs on. */
  async abandon(): Promise<void> {
    this.#rpc.dispose()
    await this.#worker.terminate()
  }

  /** Ends the thread, whatever the machine does. */
  async close(): Promise<void> {
    if (this.spec.engine === 'qemu') await this.engine.powerOff({ machine: this.machine }).catch(() => {})
    this.#rpc.dispose()
    await this.#worker.terminate()
    await rm(this.logFolder, { recursive: true, force: true })
  }

  async #follow(stream: ByteStream): Promise<void> {
    const decoder = new TextDecoder('latin1')
    try {
      for await (const bytes of stream) {
        this.output += decoder.decode(bytes)
        this.#onOutput.fire()
      }
    } catch {
      // The test ended the thread.
    }
  }
}

/** Without carriage returns and what terminals do not show (ECMA-48 control sequences). */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\u001b\[[0-?]*[ -/]*[@-~]|\r/g, '')
}

/**
 * A thread like the embedded engine's with a guest of a few lines instead of a computer: it prints a prompt, keeps one line in memory, and does
 * what it is told on its serial port. Everything around the guest (thread, wire, consoles, events) is the product's.
 *
 * Words: `boot` (prints a prompt and listens to the power button), `listen` (the latter alone), `set X`, `get`, `poweroff`, `reboot`, `trap`, `die` (the thread exits), `oom` (the thread runs out of memory), `spin` (the thread does not
 * answer any more), `write N` (writes block 0 of the first drive).
 * Command line: `deaf` (ignores the power button), `late` (does not boot before it is told to), `memory=N` (size of the memory state in MiB), `nospace` (saving fails as on a full disk),
 * `dark` (no screen), `agent=X` (an agent that behaves so, see agent-double.ts), `inuse` (its agent cannot unmount a shared folder, which this engine needs), `slow=N` (ms that saving takes), `quiet` (no prompt), `badstart` (start fails), `dieatstart`.
 */
import { open, readFile, rename } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { Emitter } from '../../../../src-shared/base/event.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { BOOT_COMPLETE_MARK } from '../../../../src-shared/model/boot-mark.ts'
import { changedSpec, type LiveChange } from '../../../../src-shared/model/live-change.ts'
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'
import type { MemoryHeader, MemoryPlace } from '../../../../src-shared/threads/engine-thread.ts'
import type {
  Attachments,
  BlockClient,
  CaptureOrder,
  Engine,
  EngineMachine,
  MachineEvent,
  SerialPort,
} from '../../../../src-main/engines/engine.ts'
import { FrameRing } from '../../../../src-shared/threads/frame-ring.ts'
import { openRing, type RingClient } from '../../../../src-main/engines/ring-client.ts'
import { RfbDisplay } from '../../../../src-main/engines/rfb/rfb-display.ts'
import { serveEngine } from '../../../../src-main/engines/serve-engine.ts'
import { serveThread } from '../../../../src-main/threads/serve-thread.ts'
import { AgentDouble, type Behaviour } from '../../../support/agent-double.ts'
import { ScreenDouble } from '../../../support/screen-double.ts'

class DoubleMachine implements EngineMachine {
  readonly serial: readonly SerialPort[]
  #spec: MachineSpec
  #attach: Attachments
  #output = new Emitter<Uint8Array>()
  #events = new Emitter<MachineEvent>()
  #memory = ''
  #captured: Promise<MemoryHeader> | null = null
  #ring: RingClient | null = null
  #line = ''
  #beat: NodeJS.Timeout | null = null
  #cmdline: string
  #listens = false
  #cards: FrameRing[]
  /** Three by two pixels, red; null with the word `dark`. */
  readonly display: RfbDisplay | null
  readonly agent: AgentDouble | null
  readonly unmountsShares: boolean
  readonly onEvent = this.#events.event

  constructor(spec: MachineSpec, attach: Attachments, memory: string) {
    this.#spec = spec
    this.#attach = attach
    this.#memory = memory
    this.#cmdline = spec.boot.kind === 'kernel' ? spec.boot.cmdline : ''
    const picture = { width: 3, height: 2, pixels: new Uint32Array(6).fill(0xff0000ff) }
    const agent = this.#value('agent')
    this.agent = agent === undefined ? null : new AgentDouble(agent as Behaviour)
    this.unmountsShares = this.#word('inuse')
    const kept = Buffer.from('kept docs umount: target is busy.\nholder 12 cat\n').toString('base64')
    if (this.unmountsShares) this.agent?.answers.set('guest-exec-status', { return: { exited: true, exitcode: 0, 'out-data': kept } })
    this.#cards = Object.values(attach.rings).map((ring) => new FrameRing(ring, 'machine'))
    for (const card of this.#cards)
      card.watch(
        (frame) => this.#print(`{${new TextDecoder().decode(frame.subarray(14)).replaceAll('\0', '')}}\r\n`),
        (run) => setImmediate(run),
      )
    this.display = this.#word('dark') ? null : new RfbDisplay(new ScreenDouble(picture), spec.name)
    this.serial = Array.from({ length: spec.serialPorts }, () => ({
      onOutput: this.#output.event,
      input: (bytes: Uint8Array) => this.#input(new TextDecoder().decode(bytes)),
    }))
  }

  /** Prints what is put into a drive. With the word `clamped` no drive gives anything back. */
  async change(change: LiveChange, block: BlockClient | null): Promise<void> {
    if (change.kind === 'eject' && this.#word('clamped')) throw new AppError('io', 'The drive is clamped.')
    if (block) this.#print(`[${Buffer.from((await openRing(block).read(0, 4)).bytes).toString('latin1')}]\r\n`)
    this.#changed(change)
  }

  #changed(change: LiveChange): void {
    this.#spec = changedSpec(this.#spec, change)
    this.#events.fire({ kind: 'hardware', spec: this.#spec, leaving: [] })
  }

  async cutLink(nic: string, cut: boolean): Promise<void> {
    this.#print(`[${nic} ${cut ? 'cut' : 'joined'}]\r\n`)
  }

  async start(): Promise<void> {
    if (this.#word('badstart')) throw new AppError('corrupt', 'The kernel is not for this engine.')
    if (this.#word('dieatstart')) process.exit(9)
    this.#run()
    if (!this.#attach.memory) this.#print(`Booting ${this.#spec.name}\r\n`)
    if (!this.#word('late')) this.#boot()
  }
  async pause(): Promise<void> {
    this.#halt()
  }
  async resume(): Promise<void> {
    this.#run()
  }
  async powerButton(): Promise<void> {
    if (this.#listens) setTimeout(() => this.#stop('guest-poweroff'), 20)
  }
  async reset(): Promise<void> {
    this.#memory = ''
    this.#listens = false
    this.#events.fire({ kind: 'rebooted' })
    this.#print('Booting again\r\n')
    if (!this.#word('late')) this.#boot()
  }
  async powerOff(): Promise<void> {
    this.#stop('powered-off')
  }

  async saveMemory({ path }: MemoryPlace): Promise<MemoryHeader> {
    await sleep(Number(this.#value('slow') ?? 0))
    if (this.#word('nospace')) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', path })
    const bytes = new Uint8Array(Number(this.#value('memory') ?? 0) * 1024 * 1024 + 1024)
    bytes.set(utf8(this.#memory))
    const file = await open(`${path}.tmp`, 'w')
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(`${path}.tmp`, path)
    const { id, memoryMiB } = this.#spec
    return {
      format: 1,
      engine: 'embedded',
      engineVersion: 'double 1',
      machine: id,
      memoryMiB,
      savedAt: new Date().toISOString(),
      bytes: bytes.length,
    }
  }

  /** With the word `stuck` memory cannot be taken; its writing fails as `saveMemory` does. */
  async capture({ memory }: CaptureOrder): Promise<void> {
    if (memory && this.#word('stuck')) throw new AppError('io', 'The memory cannot be taken.')
    this.#captured = memory && this.saveMemory(memory)
    this.#captured?.catch(() => {})
  }
  captured(): Promise<MemoryHeader> {
    return this.#captured!
  }

  dispose(): void {
    this.#halt()
    for (const card of this.#cards) card.dispose()
    this.agent?.dispose()
    this.display?.dispose()
  }

  #word(word: string): boolean {
    return this.#cmdline.split(' ').includes(word)
  }
  #value(name: string): string | undefined {
    return new RegExp(`(?:^| )${name}=(\\S+)`).exec(this.#cmdline)?.[1]
  }
  #run(): void {
    this.#events.fire({ kind: 'health', health: 'working', detail: '' })
    this.#beat ??= setInterval(() => this.#attach.counters.add('heartbeats', 1), 10)
  }
  #halt(): void {
    if (this.#beat) clearInterval(this.#beat)
    this.#beat = null
  }
  #boot(): void {
    this.#listens = !this.#word('deaf')
    if (!this.#attach.memory && !this.#word('quiet')) this.#print(`${BOOT_COMPLETE_MARK}# `)
  }
  #stop(reason: 'guest-poweroff' | 'powered-off'): void {
    this.#halt()
    this.#events.fire({ kind: 'stopped', reason })
  }
  /** The first drive's. */
  #disk(): RingClient {
    return (this.#ring ??= openRing(this.#attach.blocks.values().next().value!))
  }

  #print(text: string): void {
    this.#output.fire(utf8(text))
  }

  async #input(text: string): Promise<void> {
    this.#print(text.replaceAll('\n', '\r\n'))
    this.#line += text
    for (let end = this.#line.indexOf('\n'); end >= 0; end = this.#line.indexOf('\n')) {
      const line = this.#line.slice(0, end)
      this.#line = this.#line.slice(end + 1)
      await this.#execute(line)
    }
  }

  async #execute(line: string): Promise<void> {
    const [word, rest = ''] = line.split(' ', 2)
    switch (word) {
      case 'boot':
        return this.#boot()
      case 'listen':
        this.#listens = true
        break
      case 'set':
        this.#memory = rest
        break
      case 'get':
        this.#print(`=${this.#memory.replaceAll('\0', '')}=\r\n`)
        break
      case 'flood':
        for (let n = 0; n < Number(rest); n++) this.#print(`${'x'.repeat(1022)}\r\n`)
        break
      case 'write': {
        await this.#disk().write(0, new Uint8Array(512).fill(Number(rest))).done
        await this.#disk().flush()
        break
      }
      case 'read': {
        const lease = await this.#disk().read(0, 1)
        this.#print(`<${lease.bytes[0]}>\r\n`)
        lease.release()
        break
      }
      // A frame to everybody, of the first card.
      case 'frame': {
        const frame = new Uint8Array(60)
        frame.fill(0xff, 0, 6)
        frame.set([0x52, 0x54, 0, 0, 0, this.#spec.id.charCodeAt(0), 0x88, 0xb5], 6)
        frame.set(utf8(rest), 14)
        this.#cards[0]!.send(frame)
        break
      }
      case 'eject':
        this.#changed({ kind: 'eject', drive: rest })
        break
      case 'poweroff':
        return this.#stop('guest-poweroff')
      case 'reboot':
        return void this.reset()
      case 'trap':
        this.#halt()
        this.#events.fire({
          kind: 'stopped',
          reason: 'trap',
          error: new AppError('crashed', 'The engine hit a trap.', { technical: 'wasm trace' }).toWire(),
        })
        return
      case 'die':
        process.exit(7)
        break
      case 'spin':
        while (word === 'spin') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
        break
      case 'oom': {
        const kept: unknown[] = []
        while (word === 'oom') kept.push(new Array(1e5).fill({}).map(() => ({ kept: kept.length })))
        break
      }
      default:
    }
    this.#print('# ')
  }
}

const engine: Engine = {
  describe: () =>
    Promise.resolve({
      engine: 'embedded',
      version: 'double 1',
      arches: ['i386'],
      maxMemoryMiB: 2047,
      maxCpus: 1,
      serialPorts: 4,
      maxDisks: 2,
      isolation: 'None.',
      features: ['pause', 'suspend', 'powerButton', 'reset'],
      live: ['cdrom', 'floppy', 'link'],
    }),
  create: async (spec, attach) => new DoubleMachine(spec, attach, attach.memory ? await readFile(attach.memory.path, 'utf8') : ''),
}
serveThread((server) => serveEngine(server, engine))

/** A host of the test's own: the real RPC server and the real services' schemas over an in-memory wire, with state that the test sets. */
import type { MachineChange, MachineView, machines } from '../../../src-shared/api/machines.ts'
import type { History, HostSample, MachineSample, MetricsSample, metrics } from '../../../src-shared/api/metrics.ts'
import { settingsSchema, type Settings, type settings } from '../../../src-shared/api/settings.ts'
import type { system } from '../../../src-shared/api/system.ts'
import type { tasks, Task } from '../../../src-shared/api/tasks.ts'
import type { terminals } from '../../../src-shared/api/terminals.ts'
import * as api from '../../../src-shared/api/index.ts'
import { ByteLog } from '../../../src-shared/base/byte-log.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { machineConfigSchema, type MachineConfig } from '../../../src-shared/model/machine.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import { RpcServer } from '../../../src-shared/rpc/server.ts'
import type { Handlers, Service } from '../../../src-shared/rpc/service.ts'
import { memoryWirePair } from '../../../src-shared/rpc/wires/memory-wire.ts'
import type { Wire } from '../../../src-shared/rpc/wire.ts'
import { HostLink } from '../../../src-renderer/client/host-link.ts'
import { WindowState } from '../../../src-renderer/state/window-state.svelte.ts'

const CONSOLE_BYTES = 1 << 20

/** A serial port: what it printed, what was typed into it, and who listens. */
export class FakeConsole {
  log = new ByteLog(CONSOLE_BYTES)
  life = 'life-1'
  live = true
  typed = ''
  opened = 0
  readers = new Set<ByteStream>()

  open(from: number | null, stream: ByteStream): { start: number; end: number; live: boolean; life: string } {
    this.opened++
    const kept = this.log.read(from ?? 0)
    void stream.write(kept.bytes).catch(() => {})
    if (this.live) {
      this.readers.add(stream)
      stream.onClose(() => this.readers.delete(stream))
      void this.#listen(stream).catch(() => {})
    } else stream.end()
    return { start: kept.offset, end: this.log.end, live: this.live, life: this.life }
  }

  async #listen(stream: ByteStream): Promise<void> {
    const decoder = new TextDecoder()
    for await (const bytes of stream) this.typed += decoder.decode(bytes, { stream: true })
  }

  print(output: string | Uint8Array): void {
    const bytes = typeof output === 'string' ? utf8(output) : output
    this.log.append(bytes)
    for (const reader of this.readers) void reader.write(bytes).catch(() => {})
  }

  stop(): void {
    this.live = false
    for (const reader of [...this.readers]) reader.end()
    this.readers.clear()
  }

  start(life: string): void {
    this.live = true
    this.life = life
    this.log = new ByteLog(CONSOLE_BYTES)
  }
}

export class FakeTerminal {
  typed = ''
  size: { cols: number; rows: number }
  closed = false
  #stream: ByteStream

  constructor(stream: ByteStream, size: { cols: number; rows: number }) {
    this.#stream = stream
    this.size = size
    stream.onClose(() => (this.closed = true))
    void this.#listen().catch(() => {})
  }

  async #listen(): Promise<void> {
    const decoder = new TextDecoder()
    for await (const bytes of this.#stream) this.typed += decoder.decode(bytes, { stream: true })
  }

  print(text: string): void {
    void this.#stream.write(utf8(text)).catch(() => {})
  }

  exit(): void {
    this.#stream.end()
  }
}

export class FakeHost {
  readonly machines = new Map<string, MachineView>()
  readonly consoles = new Map<string, FakeConsole>()
  readonly terminals: FakeTerminal[] = []
  readonly updates: { id: string; patch: Partial<MachineConfig> }[] = []
  settings: Settings = settingsSchema.parse({})
  /** What the next `machines.update` fails with. */
  updateError: AppError | null = null
  terminalAllowed = true
  machineHistory: History<MachineSample> | null = null
  hostHistory: History<HostSample> | null = null
  /** What `metrics.latest` answers; made when it is asked for where there is none. */
  latest: MetricsSample | null = null
  started: string[] = []

  readonly changed = new Emitter<MachineChange>()
  readonly sample = new Emitter<MetricsSample>()
  #settingsChanged = new Emitter<Settings>()
  #server = new RpcServer((error) => console.error(error))
  #wires: Wire[] = []

  constructor() {
    const register = <S extends Service>(service: S, handlers: Partial<Handlers<S>>): void =>
      this.#server.register(service, handlers as Handlers<S>)
    register(api.machines, this.#machines())
    register(api.metrics, this.#metrics())
    register<typeof settings>(api.settings, {
      get: () => this.settings,
      set: (patch) => this.#set(patch),
      changed: this.#settingsChanged.event,
    })
    register<typeof tasks>(api.tasks, {
      list: () => [],
      changed: new Emitter<Task>().event,
      cleared: new Emitter<{ ids: string[] }>().event,
    })
    register<typeof system>(api.system, {
      quitting: new Emitter<{ reason: string }>().event,
      info: () => ({
        version: '0.1.0',
        platform: 'linux',
        arch: 'x64',
        shell: 'served',
        library: '/library',
        home: '/home/user',
        features: { terminal: this.terminalAllowed },
        versions: {},
      }),
    })
    register<typeof terminals>(api.terminals, {
      open: ({ cols, rows }, stream) => {
        if (!this.terminalAllowed) throw new AppError('denied', 'This Coppice was started without host terminals.')
        this.terminals.push(new FakeTerminal(stream, { cols, rows }))
        return { terminal: String(this.terminals.length - 1), shell: '/bin/bash' }
      },
      resize: ({ terminal, cols, rows }) => {
        this.terminals[Number(terminal)]!.size = { cols, rows }
      },
    })
  }

  #machines(): Partial<Handlers<typeof machines>> {
    return {
      list: () => [...this.machines.values()],
      get: ({ id }) => this.#get(id),
      changed: this.changed.event,
      console: ({ id, port, from }, stream) => this.console(id, port).open(from, stream),
      start: ({ id }) => {
        this.started.push(id)
        return this.put({ ...this.#get(id), state: 'running', startedAt: new Date().toISOString() })
      },
      update: ({ id, patch }) => {
        const error = this.updateError
        this.updateError = null
        if (error) throw error
        this.updates.push({ id, patch: patch as Partial<MachineConfig> })
        const machine = this.#get(id)
        return this.put({ ...machine, config: machineConfigSchema.parse({ ...machine.config, ...patch }) })
      },
    }
  }

  #metrics(): Partial<Handlers<typeof metrics>> {
    return {
      sample: this.sample.event,
      latest: () => this.latest ?? this.aSample(Date.now()),
      machineHistory: () => this.machineHistory ?? emptyHistory(MACHINE_SERIES),
      hostHistory: () => this.hostHistory ?? emptyHistory(HOST_SERIES),
    }
  }

  #get(id: string): MachineView {
    const machine = this.machines.get(id)
    if (!machine) throw new AppError('not-found', 'There is no such machine.')
    return machine
  }

  #set(patch: Partial<Settings>): Settings {
    this.settings = { ...this.settings, ...patch }
    this.#settingsChanged.fire(this.settings)
    return this.settings
  }

  put(machine: MachineView): MachineView {
    this.machines.set(machine.id, machine)
    this.changed.fire({ kind: 'put', machine })
    return machine
  }

  console(id: string, port = 0): FakeConsole {
    const key = `${id} ${port}`
    let found = this.consoles.get(key)
    if (!found) this.consoles.set(key, (found = new FakeConsole()))
    return found
  }

  /** A window's state, connected to this host. */
  async window(): Promise<WindowState> {
    const link = new HostLink(() => {
      const [here, there] = memoryWirePair()
      this.#server.attach(there, { kind: 'test' })
      this.#wires.push(here)
      return Promise.resolve(here)
    })
    const window = new WindowState(link)
    window.start()
    for (let tries = 0; !(window.library.loaded && window.info) && tries < 200; tries++)
      await new Promise((resolve) => setTimeout(resolve, 5))
    return window
  }

  /** One second's figures, the same for every machine. */
  aSample(at: number, change: Partial<MachineSample> = {}): MetricsSample {
    const one: MachineSample = {
      cpu: 0.1,
      instructionsPerSecond: 1e7,
      halted: 0.9,
      memoryBytes: 128 * 1024 ** 2,
      diskReadPerSecond: 0,
      diskWrittenPerSecond: 0,
      netReceivedPerSecond: 0,
      netSentPerSecond: 0,
      ...change,
    }
    const host: HostSample = {
      cpu: 0.2,
      hostCpu: 0.1,
      memoryTotalBytes: 16 * 1024 ** 3,
      memoryFreeBytes: 8 * 1024 ** 3,
      hostMemoryBytes: 200 * 1024 ** 2,
    }
    return { at, host, machines: Object.fromEntries([...this.machines.keys()].map((id) => [id, one])) }
  }

  /** The wires break; the window dials again by itself. */
  cut(): void {
    for (const wire of this.#wires.splice(0)) wire.close()
  }
}

const MACHINE_SERIES = [
  'cpu',
  'instructionsPerSecond',
  'halted',
  'memoryBytes',
  'diskReadPerSecond',
  'diskWrittenPerSecond',
  'netReceivedPerSecond',
  'netSentPerSecond',
] as const satisfies readonly (keyof MachineSample)[]
const HOST_SERIES = [
  'cpu',
  'hostCpu',
  'memoryTotalBytes',
  'memoryFreeBytes',
  'hostMemoryBytes',
] as const satisfies readonly (keyof HostSample)[]

function emptyHistory<K extends string>(names: readonly K[]): { at: number[]; series: Record<K, number[]> } {
  return { at: [], series: Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, number[]> }
}

/** A machine as the host shows it. */
export function aMachine(change: Partial<MachineView> = {}, config: Partial<MachineConfig> = {}): MachineView {
  const id = change.id ?? crypto.randomUUID()
  const name = change.name ?? 'web-1'
  return {
    id,
    name,
    bundle: `/library/${name}.coppice`,
    inLibrary: true,
    state: 'running',
    health: 'idle',
    healthDetail: null,
    engine: 'embedded',
    why: 'It is the only engine here.',
    config: machineConfigSchema.parse({
      schema: 1,
      id,
      created: '2026-01-01T00:00:00Z',
      guest: 'coppice-linux',
      name,
      memoryMiB: 256,
      boot: { kind: 'kernel', kernel: '/boot/vmlinuz', initrd: '/boot/initrd', cmdline: 'console=ttyS0 quiet' },
      nics: [{ id: 'nic0', mac: '52:54:00:12:34:56' }],
      ...config,
    }),
    problem: null,
    lastError: null,
    startedAt: '2026-01-01T00:00:00Z',
    bootedAt: '2026-01-01T00:00:10Z',
    suspendedAt: null,
    task: null,
    ...change,
  }
}

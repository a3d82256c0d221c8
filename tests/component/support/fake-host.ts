/**
 * A host without machines that run: the real services' types and the real RPC over an in-memory wire, answered from memory. For
 * tests of the window's parts. Real boots are the guest suite's.
 */
import { AppError, type WireError } from '../../../src-shared/errors/app-error.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { newId } from '../../../src-shared/base/ids.ts'
import { GiB, MiB } from '../../../src-shared/base/units.ts'
import {
  disks,
  exchange,
  images,
  machines,
  metrics,
  networks,
  settings,
  snapshots,
  system,
  tasks,
  terminals,
} from '../../../src-shared/api/index.ts'
import type { MachineChange, MachineView } from '../../../src-shared/api/machines.ts'
import type { History, HostSample, MachineSample, MetricsSample } from '../../../src-shared/api/metrics.ts'
import { settingsSchema, type Settings } from '../../../src-shared/api/settings.ts'
import type { DirectoryEntry, DoctorReport, HostInfo } from '../../../src-shared/api/system.ts'
import type { Task } from '../../../src-shared/api/tasks.ts'
import type { Dependent } from '../../../src-shared/model/dependent.ts'
import type { HardwareVerdict } from '../../../src-shared/model/hardware-verdict.ts'
import { machineConfigSchema, type MachineConfig } from '../../../src-shared/model/machine.ts'
import { isActive, isLegal, type MachineState, type PowerAction } from '../../../src-shared/model/machine-state.ts'
import { RpcServer } from '../../../src-shared/rpc/server.ts'
import { memoryWirePair } from '../../../src-shared/rpc/wires/memory-wire.ts'
import type { Wire } from '../../../src-shared/rpc/wire.ts'
import { FakeDisks } from './fake-disks.ts'
import { FakeDisplay } from './fake-display.ts'
import { FakeExchange } from './fake-exchange.ts'
import { fakeMachine, fakeTask, fakeVerdict, LIBRARY } from './fake-objects.ts'
import { FakeNetworks } from './fake-networks.ts'
import { FakeSnapshots } from './fake-snapshots.ts'
import { FakeConsole, FakeTerminal } from './fake-streams.ts'

export interface FakeHostOptions {
  machines?: MachineView[]
  tasks?: Task[]
  info?: Partial<HostInfo>
  doctor?: DoctorReport
  settings?: Partial<Settings>
  /** Entries by folder. */
  files?: Record<string, DirectoryEntry[]>
}

export class FakeHost {
  readonly machines = new Map<string, MachineView>()
  readonly tasks = new Map<string, Task>()
  /** What was called, in order: "machines.start". */
  readonly calls: string[] = []
  /** Of VNC, by machine. */
  readonly vncPasswords = new Map<string, string>()
  /** What was changed in machines, in order. */
  readonly updates: { id: string; patch: Partial<MachineConfig> }[] = []
  /** A guest that does not let go: updates wait until they are cancelled. */
  holdUpdates = false
  /** How machines were started, in order. */
  readonly started: unknown[] = []
  /** What was asked to be made, in order. */
  readonly created: unknown[] = []
  /** Shells that were opened, in order. */
  readonly terminals: FakeTerminal[] = []
  readonly snapshots = new FakeSnapshots()
  readonly exchange = new FakeExchange()
  readonly disks = new FakeDisks()
  readonly networks = new FakeNetworks()
  /** What a call shall fail with, by its name; stays until it is taken out. */
  readonly failures = new Map<string, WireError>()
  /** Steps that a creation goes through before it is done; a test may end it by hand. */
  autoFinishTasks = true
  /** What is said of hardware that somebody chooses. */
  verdict: (wish: MachineConfig) => HardwareVerdict = fakeVerdict
  settings: Settings
  machineHistory: History<MachineSample> = noHistory(MACHINE_SERIES)
  hostHistory: History<HostSample> = noHistory(HOST_SERIES)
  /** What `metrics.latest` answers; null: figures of now. */
  latest: MetricsSample | null = null
  /** Whether one can connect. */
  reachable = true
  /** Whether it answers that the page's access has ended. */
  refuses = false

  readonly machineChanged = new Emitter<MachineChange>()
  readonly taskChanged = new Emitter<Task>()
  readonly tasksCleared = new Emitter<{ ids: string[] }>()
  readonly settingsChanged = new Emitter<Settings>()
  readonly sampled = new Emitter<MetricsSample>()
  readonly quitting = new Emitter<{ reason: string }>()

  #server = new RpcServer((error) => console.error(error))
  #options: FakeHostOptions
  #consoles = new Map<string, FakeConsole>()
  #displays = new Map<string, FakeDisplay>()
  #wires: Wire[] = []
  #trash = new Map<string, MachineView>()
  /** By machine: what needs its files. */
  readonly dependents = new Map<string, Dependent[]>()

  constructor(options: FakeHostOptions = {}) {
    this.#options = options
    this.settings = { ...settingsSchema.parse({}), ...options.settings }
    for (const machine of options.machines ?? []) this.machines.set(machine.id, machine)
    for (const task of options.tasks ?? []) this.tasks.set(task.id, task)
    this.#register()
  }

  /** A new connection, as `Dial` wants it. */
  connect = (): Promise<Wire> => {
    if (this.refuses) return Promise.reject(new AppError('denied', 'The page’s access ended.'))
    if (!this.reachable) return Promise.reject(new Error('unreachable'))
    const [here, there] = memoryWirePair()
    this.#server.attach(there, { kind: 'window' })
    this.#wires.push(here)
    return Promise.resolve(here)
  }

  /** The wires break; the window dials again by itself. */
  cut(): void {
    for (const wire of this.#wires.splice(0)) wire.close()
  }

  console(id: string, port = 0): FakeConsole {
    const key = `${id} ${port}`
    let found = this.#consoles.get(key)
    if (!found) this.#consoles.set(key, (found = new FakeConsole()))
    return found
  }

  display(id: string): FakeDisplay {
    let found = this.#displays.get(id)
    if (!found) this.#displays.set(id, (found = new FakeDisplay()))
    return found
  }

  put(machine: MachineView): MachineView {
    this.machines.set(machine.id, machine)
    this.machineChanged.fire({ kind: 'put', machine })
    return machine
  }

  putTask(task: Task): void {
    this.tasks.set(task.id, task)
    this.taskChanged.fire(task)
  }

  /** One second's figures: every machine that runs, and the host. */
  figures(at: number, change: Partial<MachineSample> = {}): MetricsSample {
    const one: MachineSample = {
      cpu: 0.25,
      instructionsPerSecond: 12_300_000,
      halted: 0.7,
      memoryBytes: 300 * MiB,
      diskReadPerSecond: 0,
      diskWrittenPerSecond: 0,
      netReceivedPerSecond: 0,
      netSentPerSecond: 0,
      ...change,
    }
    const running = [...this.machines.values()].filter(({ state }) => state === 'running' || state === 'paused')
    return {
      at,
      host: { cpu: 0.4, hostCpu: 0.3, memoryTotalBytes: 16 * GiB, memoryFreeBytes: 9 * GiB, hostMemoryBytes: 400 * MiB },
      machines: Object.fromEntries(running.map(({ id }) => [id, one])),
    }
  }

  #machine(id: string): MachineView {
    const machine = this.machines.get(id)
    if (!machine) throw new AppError('not-found', 'There is no such machine in the library.')
    return machine
  }

  /** Records the call and fails it where a test asked for it. */
  #called(name: string): void {
    this.calls.push(name)
    const failure = this.failures.get(name)
    if (failure) throw AppError.fromWire(failure)
  }

  #power(action: PowerAction, to: MachineState): (input: { id: string }) => MachineView {
    return ({ id }) => {
      this.#called(`machines.${action}`)
      const machine = this.#machine(id)
      if (!isLegal(action, machine.state)) throw new AppError('wrong-state', `“${machine.name}” is ${machine.state}.`)
      const at = new Date().toISOString()
      return this.put({
        ...machine,
        state: to,
        health: to === 'running' ? 'working' : null,
        lastError: null,
        startedAt: isActive(to) ? (machine.startedAt ?? at) : null,
        bootedAt: isActive(to) ? (machine.bootedAt ?? at) : null,
        suspendedAt: null,
      })
    }
  }

  #startTask(task: Task, finish: () => Task['result'] & object): { task: string } {
    this.putTask(task)
    if (this.autoFinishTasks)
      setTimeout(() => {
        const now = this.tasks.get(task.id)
        if (now?.state !== 'running') return
        const result = finish()
        this.putTask({ ...now, state: 'done', result, endedAt: new Date().toISOString() })
      })
    return { task: task.id }
  }

  #register(): void {
    this.#server.register(machines, {
      list: () => (this.#called('machines.list'), [...this.machines.values()]),
      get: ({ id }) => this.#machine(id),
      changed: this.machineChanged.event,
      suggestName: ({ wish }) => {
        const taken = new Set([...this.machines.values()].map((machine) => machine.name))
        let name = wish
        for (let n = 2; taken.has(name); n++) name = `${wish} ${n}`
        return { name }
      },
      create: (input) => {
        this.#called('machines.create')
        this.created.push(input)
        const task = fakeTask({ title: `Creating “${input.name}”`, step: 'Assembling the initial RAM disk' })
        return this.#startTask(task, () => {
          const state = input.start ? 'running' : 'off'
          const machine = this.put(
            fakeMachine(input.name, { state }, { memoryMiB: input.memoryMiB ?? 256, serialPorts: input.serialPorts }),
          )
          return { id: machine.id }
        })
      },
      duplicate: ({ id, name }) => {
        this.#called('machines.duplicate')
        const { config } = this.#machine(id)
        const task = fakeTask({ kind: 'duplicate-machine', title: `Duplicating “${name}”`, machine: id })
        return this.#startTask(task, () => ({ id: this.put(fakeMachine(name, {}, { ...config, id: newId(), name })).id }))
      },
      consider: ({ id, patch }) => (
        this.#called('machines.consider'),
        this.verdict({ ...this.#machine(id).config!, ...patch } as MachineConfig)
      ),
      considerNew: ({ source: _source, ...wish }) => (
        this.#called('machines.considerNew'),
        this.verdict({ ...fakeMachine('new').config!, ...wish } as MachineConfig)
      ),
      update: async ({ id, patch }, { signal }) => {
        this.#called('machines.update')
        this.updates.push({ id, patch: patch as Partial<MachineConfig> })
        if (this.holdUpdates)
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(AppError.cancelled()), { once: true }))
        const machine = this.#machine(id)
        const config = machineConfigSchema.parse({ ...machine.config!, ...patch })
        return this.put({ ...machine, config, name: config.name })
      },
      dependents: ({ id }) => (this.#called('machines.dependents'), this.dependents.get(id) ?? []),
      trash: ({ id }) => {
        this.#called('machines.trash')
        const machine = this.#machine(id)
        this.#trash.set(machine.bundle, machine)
        this.machines.delete(id)
        this.machineChanged.fire({ kind: 'removed', id })
        return { trashedTo: machine.bundle }
      },
      restore: ({ trashedTo }) => (this.#called('machines.restore'), this.put(this.#trash.get(trashedTo)!)),
      open: ({ bundle }) => {
        this.#called('machines.open')
        const name = bundle
          .split('/')
          .at(-1)!
          .replace(/\.coppice$/, '')
        return this.put(fakeMachine(name, { bundle, inLibrary: false }))
      },
      forget: ({ id }) => {
        this.#called('machines.forget')
        this.machines.delete(id)
        this.machineChanged.fire({ kind: 'removed', id })
      },
      start: (input) => {
        this.started.push(input)
        return this.#power('start', 'running')(input)
      },
      pause: this.#power('pause', 'paused'),
      resume: this.#power('resume', 'running'),
      powerButton: this.#power('powerButton', 'off'),
      powerOff: this.#power('powerOff', 'off'),
      reset: this.#power('reset', 'running'),
      suspend: ({ id }) => {
        this.#called('machines.suspend')
        const machine = this.#machine(id)
        const task = fakeTask({ kind: 'suspend-machine', title: `Suspending “${machine.name}”`, machine: id, cancellable: false })
        this.put({ ...machine, state: 'suspending', task: task.id })
        return this.#startTask(task, () => {
          this.put({ ...machine, state: 'suspended', startedAt: null, bootedAt: null, suspendedAt: new Date().toISOString() })
          return {}
        })
      },
      discardSuspend: this.#power('discardSuspend', 'off'),
      waitBooted: ({ id }) => this.#machine(id),
      console: ({ id, port, from }, stream) => this.console(id, port).open(from, stream),
      display: ({ id }, stream) => {
        this.#called('machines.display')
        this.display(id).attach(stream)
      },
      screenshot: ({ id }, stream) => {
        this.#called('machines.screenshot')
        return this.display(id).screenshot(stream)
      },
      setVncPassword: ({ id, password }) => {
        this.#called('machines.setVncPassword')
        this.vncPasswords.set(id, password)
      },
      vncPassword: ({ id }) => ({ password: this.vncPasswords.get(id) ?? null }),
      addresses: ({ id }) => (this.#called('machines.addresses'), this.#machine(id).interfaces),
      exec: () => {
        throw new AppError('unavailable', 'No agent answers in this machine.')
      },
      type: () => this.#called('machines.type'),
    })
    this.#server.register(metrics, {
      sample: this.sampled.event,
      latest: () => this.latest ?? this.figures(Date.now()),
      machineHistory: () => this.machineHistory,
      hostHistory: () => this.hostHistory,
    })
    this.#server.register(
      exchange,
      this.exchange.handlers(
        (name) => this.#called(name),
        (task, finish) => this.#startTask(task, finish),
        (name) => this.put(fakeMachine(name)).id,
      ),
    )
    this.#server.register(
      snapshots,
      this.snapshots.handlers(
        (name) => this.#called(name),
        (task, finish) => this.#startTask(task, finish),
      ),
    )
    this.#server.register(settings, {
      get: () => this.settings,
      set: (patch) => {
        this.#called('settings.set')
        this.settings = { ...this.settings, ...patch } as Settings
        this.settingsChanged.fire(this.settings)
        return this.settings
      },
      changed: this.settingsChanged.event,
    })
    this.#server.register(networks, this.networks.handlers)
    this.#server.register(disks, {
      list: ({ machine }) => {
        const { bundle, config } = this.#machine(machine)
        return this.disks.list(bundle, config!)
      },
      resize: (request) => {
        this.#called('disks.resize')
        this.disks.resized.push(request)
        return { size: request.size }
      },
      deleteImage: ({ path }) => {
        this.#called('disks.deleteImage')
        this.disks.deleted.push(path)
      },
      add: (request) => {
        this.#called('disks.add')
        this.disks.added.push(request)
        const machine = this.#machine(request.machine)
        const drives = machine.config!.drives
        const id = `disk${drives.filter(({ kind }) => kind === 'disk').length}`
        const drive = { id, kind: 'disk' as const, path: `disks/${id}.qcow2`, format: 'qcow2' as const, readOnly: false, limits: null }
        return this.put({ ...machine, config: { ...machine.config!, drives: [...drives, drive] } })
      },
    })
    const imageTask = (kind: 'compact-image' | 'check-image', title: string, result: () => Task['result'] & object): { task: string } =>
      this.#startTask(fakeTask({ title, kind }), result)
    const name = (path: string): string => `“${path.split('/').at(-1)}”`
    this.#server.register(images, {
      info: () => this.#unasked(),
      create: () => this.#unasked(),
      resize: () => this.#unasked(),
      convert: () => this.#unasked(),
      commit: () => this.#unasked(),
      rebase: () => this.#unasked(),
      compact: ({ path }) => {
        this.#called('images.compact')
        return imageTask('compact-image', `Compacting ${name(path)}`, () => ({ room: { before: 3 * GiB, after: 1 * GiB } }))
      },
      check: ({ image, repair }) => {
        this.#called(repair ? 'images.repair' : 'images.check')
        const { check } = this.disks
        const found = check && repair ? { ...check, repairedCorruptions: check.corruptions, repairedLeaks: check.leaks } : check
        return imageTask('check-image', `${repair ? 'Repairing' : 'Checking'} ${name(image.path)}`, () => ({ check: found }))
      },
    })
    this.#server.register(tasks, {
      list: () => [...this.tasks.values()],
      changed: this.taskChanged.event,
      cancel: ({ id }) => {
        this.#called('tasks.cancel')
        const task = this.tasks.get(id)
        if (task) this.putTask({ ...task, state: 'cancelled', endedAt: new Date().toISOString() })
      },
      restart: ({ id }) => {
        this.#called('tasks.restart')
        const task = { ...this.tasks.get(id)!, id: newId(), state: 'running' as const, restartable: false, error: null, endedAt: null }
        this.tasks.delete(id)
        this.tasksCleared.fire({ ids: [id] })
        this.putTask(task)
        return { task: task.id }
      },
      wait: ({ id }) =>
        new Promise((resolve) => {
          const now = this.tasks.get(id)
          if (now && now.state !== 'running') return resolve(now)
          const waiting = this.taskChanged.event((task) => {
            if (task.id !== id || task.state === 'running') return
            waiting.dispose()
            resolve(task)
          })
        }),
      clear: () => {
        const ids = [...this.tasks.values()].filter((task) => task.state !== 'running').map((task) => task.id)
        for (const id of ids) this.tasks.delete(id)
        this.tasksCleared.fire({ ids })
      },
      cleared: this.tasksCleared.event,
    })
    this.#server.register(system, {
      info: () => this.#info(),
      doctor: () => {
        this.#called('system.doctor')
        return this.#options.doctor ?? { at: new Date().toISOString(), summary: 'This computer can run machines.', checks: [] }
      },
      listFolder: ({ path }) => {
        const entries = this.#options.files?.[path]
        if (!entries) throw new AppError('not-found', `Reading the folder (${path}) failed: the file or folder does not exist.`)
        const parent = path === '/' ? null : path.slice(0, path.lastIndexOf('/')) || '/'
        return { path, parent, entries, truncated: false }
      },
      quit: () => this.#called('system.quit'),
      quitting: this.quitting.event,
    })
    this.#server.register(terminals, {
      open: ({ cols, rows }, stream) => {
        this.#called('terminals.open')
        if (!this.#info().features.terminal) throw new AppError('denied', 'This Coppice was started without host terminals.')
        this.terminals.push(new FakeTerminal(stream, { cols, rows }))
        return { terminal: String(this.terminals.length - 1), shell: '/bin/bash' }
      },
      resize: ({ terminal, cols, rows }) => {
        this.terminals[Number(terminal)]!.size = { cols, rows }
      },
    })
  }

  #unasked(): never {
    throw new AppError('unsupported', 'The window asks for no such thing.')
  }

  #info(): HostInfo {
    return {
      version: '0.1.0',
      platform: 'linux',
      arch: 'x64',
      shell: 'served',
      library: LIBRARY,
      home: '/home/ada',
      features: { terminal: false },
      settingsProblem: null,
      versions: { node: '24.21.0', v86: '0.5.462' },
      ...this.#options.info,
    }
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

function noHistory<K extends string>(names: readonly K[]): { at: number[]; series: Record<K, number[]> } {
  return { at: [], series: Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, number[]> }
}

/** The host: owns everything that is not a window. Read top to bottom, this is how the parts are wired together. */
import { mkdir, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import * as api from '../../src-shared/api/index.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import type { HostInfo } from '../../src-shared/api/system.ts'
import { DisposableStore } from '../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../src-shared/base/event.ts'
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'
import { RpcServer } from '../../src-shared/rpc/server.ts'
import { qemuThread } from '../../src-shared/threads/qemu-thread.ts'
import { machineFolders } from '../process/machine-folders.ts'
import type { HostOptions } from './host-options.ts'
import { DiskService } from './disks/disk-service.ts'
import { ExchangeService } from './exchange/exchange-service.ts'
import { storageThread } from '../../src-shared/threads/storage-thread.ts'
import { ImageNeeds } from './images/image-needs.ts'
import { ImageService } from './images/image-service.ts'
import { Library } from './library/library.ts'
import { createLog, type Log } from './log/log.ts'
import { describeEngine } from './machines/engines/describe-engine.ts'
import { EngineFinder } from './machines/engines/engine-finder.ts'
import { FirmwareFinder } from './machines/running/firmware.ts'
import { endUnattended } from './machines/running/end-unattended.ts'
import { MachineService } from './machines/machine-service.ts'
import { quiesceMachines } from './machines/running/quiesce.ts'
import { cleanStaging } from './machines/making/staging.ts'
import { MetricsService } from './metrics/metrics-service.ts'
import { NetworkService } from './networks/network-service.ts'
import { SettingsService } from './settings/settings-service.ts'
import { createDoctor } from './system/doctor.ts'
import { COMPUTER_CLOCK, type Clock } from './snapshots/policy/clock.ts'
import { SnapshotService } from './snapshots/snapshot-service.ts'
import { SystemService } from './system/system-service.ts'
import { TaskService } from './tasks/task-service.ts'
import { loadPty, TerminalService } from './terminals/terminal-service.ts'
import { SharedThread } from './threads/shared-thread.ts'

export interface CoppiceHost {
  readonly server: RpcServer
  readonly options: HostOptions
  /** Somebody called system.quit, and the machines are dealt with: end the process. */
  readonly onQuit: Event<{ reason: string }>
  /** It has begun to end its machines, in order to end (true), or stays after all, because one cannot be ended (false). */
  readonly onEnding: Event<boolean>
  activeMachines(): MachineView[]
  /** Ends every running machine so; fails, and ends none, where `refuse` finds one. */
  quiesce(running: 'suspend' | 'powerOff' | 'refuse'): Promise<void>
  /** The same where nobody can be asked: machines are suspended, or what comes closest to that (end-unattended.ts). Never rejects. */
  endUnattended(): Promise<void>
  /** Ends everything. Idempotent. */
  close(): Promise<void>
}

/** Parts that tests replace; the product uses the defaults. */
export interface HostDoubles {
  /** Entries of threads. */
  embedded?: URL
  qemu?: URL
  storage?: URL
  appliance?: URL
  network?: URL
  clock?: Clock
}

/** @throws AppError where the library is no folder and cannot be made one */
export async function startHost(given: HostOptions, doubles: HostDoubles = {}): Promise<CoppiceHost> {
  const options = { ...given, library: resolve(given.library) }
  await makeLibrary(options.library)
  const store = new DisposableStore()
  const log = store.add(createLog(options.logFolder))

  // What everybody uses.
  const tasks = store.add(new TaskService())
  const settings = store.add(await SettingsService.open(join(options.library, 'settings.json'), log))
  const library = store.add(new Library(options.library, log))
  const cleaning = cleanStaging(options.library, log)

  // Threads for all machines: none runs before it is needed.
  const storage = new SharedThread('storage', log, doubles.storage)
  const appliance = new SharedThread('appliance', log, doubles.appliance)
  const qemu = new SharedThread('qemu', log, doubles.qemu)
  const network = new SharedThread('network', log, doubles.network)

  // The machines. Engines beside the embedded one are offered once they were found.
  const hasQemu = doubles.embedded === undefined || doubles.qemu !== undefined
  const engines = store.add(new EngineFinder({ ...options, qemu: hasQemu ? qemu : null, log }))
  const firmware = new FirmwareFinder(options.resources, options.cacheFolder, appliance)
  const machines: MachineService = new MachineService({
    ...{ library, tasks, storage, appliance, qemu, firmware, engines, log },
    cacheFolder: options.cacheFolder,
    resources: options.resources,
    defaultMemoryMiB: () => settings.current.defaultMemoryMiB,
    hasNetwork: (name: string) => networks.has(name),
    bridges: () => networks.bridges,
    begin: async (machine, end, start) => {
      if (!machine.session) await images.refuseWritten(machine)
      return snapshots.begin(machine, end, start)
    },
    ...(doubles.embedded ? { engineEntry: doubles.embedded } : {}),
  })
  const networks: NetworkService = await NetworkService.open({
    file: join(options.library, 'networks.json'),
    leasesFile: join(options.library, 'network-leases.json'),
    ...{ thread: network, tasks, log, machines, engines },
  })
  const needs = new ImageNeeds({
    machines: () => machines.all(),
    restsOn: (image) => storage.use(({ rpc }) => rpc.service(storageThread).restsOn(image)),
  })
  const snapshots: SnapshotService = new SnapshotService({
    neededElsewhere: (bundle) => needs.neededElsewhere(bundle),
    ...{ library, storage, log, tasks, machine: (id: string) => machines.find(id) },
    clock: doubles.clock ?? COMPUTER_CLOCK,
    machines: () => machines.all(),
    onChanged: machines.onChanged,
  })
  const images = new ImageService({ storage, tasks, machines: () => machines.all() })
  const exchange = new ExchangeService({
    library,
    tasks,
    storage,
    engines,
    holders: images.holders,
    hasNetwork: (name) => networks.has(name),
    machine: (id) => machines.find(id),
  })
  const metrics = store.add(new MetricsService({ machines: () => machines.counters(), onActiveChanged: machines.onActiveChanged }))
  store.add(engines.onFound(() => machines.refreshViews()))
  const disks = new DiskService({
    ...{ storage, log, find: (id: string) => machines.find(id), machines: () => machines.all() },
    update: (id, patch, signal) => machines.update(id, patch, signal),
    resizeImage: (image, size, shrink) => images.resize(image, size, shrink),
    refuseNeeded: (path) => images.refuseNeededByAny(path),
  })
  const lookingRound = lookRound(engines, machines, hasQemu ? qemu : null, log).then(() =>
    Promise.all([snapshots.lookRound(), disks.lookRound()]),
  )
  const terminals = store.add(new TerminalService({ allowed: options.allowTerminal }))

  // The end.
  const quit = store.add(new Emitter<{ reason: string }>())
  const quitting = store.add(new Emitter<{ reason: string }>())
  const ending = store.add(new Emitter<boolean>())
  const quiesce = async (running: 'suspend' | 'powerOff' | 'refuse'): Promise<void> => {
    ending.fire(true)
    try {
      await quiesceMachines(machines, tasks, running)
    } finally {
      // Where one could not be ended, or was started meanwhile, the host stays.
      if (machines.active().length > 0) ending.fire(false)
    }
  }
  const runUnattended = async (): Promise<void> => {
    ending.fire(true)
    await endUnattended(machines, { tasks, log, leave: settings.current.onCloseWithRunning === 'background' })
  }
  const endHost = async (running: 'suspend' | 'powerOff' | 'refuse'): Promise<void> => {
    await quiesce(running)
    const reason = 'Coppice was asked to quit.'
    quitting.fire({ reason })
    // The caller's answer goes out first.
    setImmediate(() => quit.fire({ reason }))
  }
  const doctor = createDoctor({
    ...options,
    describeEngine: () => describeEngine(log, doubles.embedded),
    findQemu: (refresh) => engines.find(refresh),
    settingsProblem: settings.problem,
    networksProblem: networks.problem,
    loadTerminals: loadPty,
  })
  const info = (): HostInfo => hostInfo(options, settings)
  const system = new SystemService({ info, doctor, quit: endHost, onQuitting: quitting.event })

  const close = async (): Promise<void> => {
    snapshots.dispose()
    // Together: a suspend that waits for an engine ends with that engine.
    await Promise.all([tasks.close(), machines.close()])
    await networks.close()
    await Promise.all([storage.close(), appliance.close(), qemu.close(), network.close(), library.close(), cleaning])
    await lookingRound
    store.dispose()
  }

  const server = new RpcServer((error, where) => log.error('api', where, { error }))
  server.register(api.machines, machines.handlers)
  server.register(api.exchange, exchange.handlers)
  server.register(api.images, images.handlers)
  server.register(api.snapshots, snapshots.handlers)
  server.register(api.networks, networks.handlers)
  server.register(api.tasks, tasks.handlers)
  server.register(api.settings, settings.handlers)
  server.register(api.metrics, metrics.handlers)
  server.register(api.disks, disks.handlers)
  server.register(api.terminals, terminals.handlers)
  server.register(api.system, system.handlers)

  let closing: Promise<void> | null = null
  let unattended: Promise<void> | null = null
  return {
    server,
    options,
    onQuit: quit.event,
    onEnding: ending.event,
    activeMachines: () => machines.active().map((machine) => machine.view()),
    quiesce,
    endUnattended: () => (unattended ??= runUnattended()),
    close: () => (closing ??= close()),
  }
}

/** When the library is read, in the background: what engines there are, and which machines of an earlier host still run. */
async function lookRound(engines: EngineFinder, machines: MachineService, qemu: SharedThread | null, log: Log): Promise<void> {
  try {
    await machines.adopt(async () => {
      // Without any folder of a machine nobody has to be asked.
      if (!qemu || (await machineFolders()).length === 0) return []
      return qemu.use(({ rpc }) => rpc.service(qemuThread).survivors({}))
    })
    if (qemu) await engines.whenFound()
  } catch (error) {
    const failure = asAppError(error)
    // The host may end meanwhile.
    if (failure.code !== 'disconnected') log.warn('engines', 'Looking for machines that run failed.', { error: failure })
  }
}

/** With its parents. Node's own recursion never ends where a file system has no folders but its own (/proc, automounters). */
async function makeFolder(folder: string, parentThere = false): Promise<void> {
  try {
    await mkdir(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const found = await stat(folder).catch(() => null)
    if (found?.isDirectory()) return
    if (code !== 'ENOENT' || parentThere) throw error
    await makeFolder(dirname(folder))
    await makeFolder(folder, true)
  }
}

async function makeLibrary(library: string): Promise<void> {
  try {
    await makeFolder(library)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw new AppError('invalid-input', `The library “${library}” is a file, not a folder. Choose another, or move the file away.`, {
        subject: library,
      })
    throw asAppError(error, 'Making the library folder')
  }
}

function hostInfo({ version, shell, library, allowTerminal }: HostOptions, { problem }: SettingsService): HostInfo {
  const { node, v8, electron, chrome } = process.versions
  return {
    version,
    platform: process.platform as HostInfo['platform'],
    arch: process.arch,
    shell,
    library,
    home: homedir(),
    features: { terminal: allowTerminal },
    settingsProblem: problem?.toWire() ?? null,
    versions: Object.fromEntries(Object.entries({ node, v8, electron, chrome }).filter(([, value]) => value !== undefined)) as Record<
      string,
      string
    >,
  }
}

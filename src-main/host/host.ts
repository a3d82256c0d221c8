/** The host: owns everything that is not a window. Read top to bottom, this is how the parts are wired together. */
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import * as api from '../../src-shared/api/index.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import type { HostInfo } from '../../src-shared/api/system.ts'
import { DisposableStore } from '../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../src-shared/base/event.ts'
import { asAppError } from '../../src-shared/errors/app-error.ts'
import { isActive } from '../../src-shared/model/machine-state.ts'
import { RpcServer } from '../../src-shared/rpc/server.ts'
import { Library } from './library/library.ts'
import { createLog } from './log/log.ts'
import { MachineService } from './machines/machine-service.ts'
import { SettingsService } from './settings/settings-service.ts'
import { TaskService } from './tasks/task-service.ts'

export interface HostOptions {
  /** The library folder; made when missing. */
  library: string
  /** For what can be fetched or built again. */
  cacheFolder: string
  /** Holds firmware/ and guest/. */
  resources: string
  shell: HostInfo['shell']
  /** Whether host terminals may be opened. */
  allowTerminal: boolean
  version: string
  /** Null: no log file. */
  logFolder: string | null
}

export interface CoppiceHost {
  readonly server: RpcServer
  readonly options: HostOptions
  /** Somebody called system.quit, and the machines are dealt with: end the process. */
  readonly onQuit: Event<{ reason: string }>
  activeMachines(): MachineView[]
  /** Ends every running machine so; fails, and ends none, where `refuse` finds one. */
  quiesce(running: 'suspend' | 'powerOff' | 'refuse'): Promise<void>
  /** Ends everything. Idempotent. */
  close(): Promise<void>
}

/** @throws AppError where the library folder cannot be made */
export async function startHost(options: HostOptions): Promise<CoppiceHost> {
  const folder = resolve(options.library)
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw asAppError(error, 'Making the library folder')
  })
  const store = new DisposableStore()
  const log = store.add(createLog(options.logFolder))
  const settings = store.add(await SettingsService.open(join(folder, 'settings.json'), log))
  const library = store.add(new Library(folder, log))
  const tasks = store.add(new TaskService())
  const machines = store.add(new MachineService(library))
  const quit = store.add(new Emitter<{ reason: string }>())
  const quitting = store.add(new Emitter<{ reason: string }>())

  const server = new RpcServer((error, where) => log.error('api', where, { error }))
  server.register(api.settings, settings.handlers)
  server.register(api.tasks, tasks.handlers)
  server.register(api.machines, machines.handlers)
  server.register(api.system, {
    info: () => ({
      version: options.version,
      platform: process.platform as HostInfo['platform'],
      arch: process.arch,
      shell: options.shell,
      library: folder,
      home: homedir(),
      features: { terminal: options.allowTerminal },
      versions: { node: process.versions.node },
    }),
    doctor: () => ({ at: new Date().toISOString(), summary: '', checks: [] }),
    listFolder: ({ path }) => ({ path, parent: null, entries: [], truncated: false }),
    quit: () => {
      quitting.fire({ reason: 'asked to quit' })
      quit.fire({ reason: 'asked to quit' })
    },
    quitting: quitting.event,
  })
  const activeMachines = (): MachineView[] => machines.views().filter((machine) => isActive(machine.state))
  let closing: Promise<void> | null = null
  return {
    server,
    options,
    onQuit: quit.event,
    activeMachines,
    quiesce: async () => {},
    close: () => (closing ??= Promise.resolve().then(() => store.dispose())),
  }
}

/** What a host answers with: machines, tasks and files, with whatever is given put over them. */
import { newId } from '../../../src-shared/base/ids.ts'
import type { MachineView } from '../../../src-shared/api/machines.ts'
import type { DirectoryEntry } from '../../../src-shared/api/system.ts'
import type { Task } from '../../../src-shared/api/tasks.ts'
import type { HardwareVerdict } from '../../../src-shared/model/hardware-verdict.ts'
import { LIVE_KINDS, type LiveHardware } from '../../../src-shared/model/live-hardware.ts'
import { MACHINE_SCHEMA, type MachineConfig } from '../../../src-shared/model/machine.ts'
import { KEEP_WHEN_OFF } from '../../../src-shared/model/run.ts'
import { NO_SCHEDULE } from '../../../src-shared/model/snapshot-schedule.ts'
import { isActive, type MachineState } from '../../../src-shared/model/machine-state.ts'

export const LIBRARY = '/home/ada/Coppice'
const MINUTE = 60_000

/** A readable machine that is off, with whatever is given put over it. */
export function fakeMachine(name: string, over: Partial<MachineView> = {}, config: Partial<MachineConfig> = {}): MachineView {
  const id = over.id ?? newId()
  const state: MachineState = over.state ?? 'off'
  return {
    id,
    name,
    bundle: `${LIBRARY}/${name}.coppice`,
    inLibrary: true,
    state,
    health: state === 'running' ? 'working' : null,
    healthDetail: null,
    engine: 'embedded',
    why: 'The embedded engine runs everywhere; no other engine was found on this computer.',
    accelerator: null,
    engineVersion: null,
    addresses: [],
    interfaces: [],
    agent: false,
    config: {
      schema: MACHINE_SCHEMA,
      id,
      created: new Date(Date.now() - 24 * 60 * MINUTE).toISOString(),
      guest: 'coppice-linux',
      point: null,
      run: null,
      name,
      engine: 'auto',
      arch: 'i386',
      cpus: 1,
      memoryMiB: 256,
      firmware: 'bios',
      tpm: false,
      devices: 'auto',
      display: 'auto',
      pointer: 'tablet',
      boot: { kind: 'kernel', kernel: 'boot/vmlinuz', initrd: 'boot/initrd', cmdline: 'console=ttyS0 quiet' },
      drives: [],
      nics: [{ id: 'nic0', model: 'virtio', mac: '52:54:00:12:34:56', link: 'auto', network: null }],
      serialPorts: 1,
      sharedFolders: [],
      vncExport: { enabled: false, port: null },
      autoSnapshots: NO_SCHEDULE,
      whenOff: KEEP_WHEN_OFF,
      template: false,
      private: false,
      folder: [],
      tags: [],
      notes: '',
      ...config,
    },
    problem: null,
    lastError: null,
    startedAt: isActive(state) ? new Date(Date.now() - 12 * MINUTE).toISOString() : null,
    bootedAt: state === 'running' || state === 'paused' ? new Date(Date.now() - 12 * MINUTE + 3400).toISOString() : null,
    suspendedAt: state === 'suspended' ? new Date(Date.now() - 90 * MINUTE).toISOString() : null,
    vnc: null,
    live: null,
    task: null,
    ...over,
  }
}

/** Everything can be changed while it runs, but for what is said. */
export function fakeLive(why: Partial<LiveHardware['why']> = {}): LiveHardware {
  const all = Object.fromEntries(LIVE_KINDS.map((kind) => [kind, null])) as LiveHardware['why']
  return { why: { ...all, ...why }, memoryMiB: { min: 64, max: 256 }, cpus: { min: 1, max: why.cpus ? 1 : 4 }, leaving: [] }
}

/** The embedded engine takes everything. */
export function fakeVerdict({ arch, cpus, memoryMiB }: MachineConfig): HardwareVerdict {
  const why = 'The embedded engine runs on every computer; QEMU was not found on this one.'
  const fine = { reasons: [], changes: [] }
  return {
    ...{ engine: 'embedded', version: null, accelerator: null, why, arch, cpus, memoryMiB, problems: [] },
    engines: { embedded: fine, qemu: fine },
    refused: {},
  }
}

export function fakeTask(over: Partial<Task> = {}): Task {
  return {
    id: newId(),
    kind: 'create-machine',
    title: 'Creating “Coppice Linux”',
    machine: null,
    state: 'running',
    step: '',
    progress: null,
    cancellable: true,
    restartable: false,
    startedAt: new Date().toISOString(),
    endedAt: null,
    error: null,
    result: null,
    ...over,
  }
}

/** A file or folder of the fake computer. */
export function fakeEntry(path: string, over: Partial<DirectoryEntry> = {}): DirectoryEntry {
  return { name: path.split('/').at(-1)!, path, kind: 'file', bytes: 0, modified: new Date().toISOString(), ...over }
}

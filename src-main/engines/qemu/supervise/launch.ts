/**
 * From a spec to a QEMU that stands before its first instruction and answers; and from a record of an earlier host to the same. What goes wrong
 * on the way leaves no process and no folder.
 */
import { constants, copyFile, mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Socket } from 'node:net'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'
import type { RuntimePlaces } from '../../../process/private-folder.ts'
import { nicSocket, runtimeIn, type Endpoint, type Platform, type QemuRuntime } from '../arguments/runtime.ts'
import { QmpClient } from '../qmp/qmp-client.ts'
import { didNotStart } from './death.ts'
import { connectOnce, connectWhenReady, freePort } from './endpoint.ts'
import { noteStart } from './half-started.ts'
import {
  forgetRan,
  makeMachineFolder,
  noteRan,
  ranUntilTaken,
  removeMachineFolder,
  writeRecord,
  type MachineRecord,
} from './machine-folder.ts'
import { adoptProcess, startProcess, type QemuProcess } from './qemu-process.ts'
import { startTpm } from './tpm.ts'

/** A QEMU that runs and answers. */
export interface Instance {
  folder: string
  record: MachineRecord
  process: QemuProcess
  qmp: QmpClient
  /** One for each serial port, paused. */
  serial: Socket[]
  /** The guest agent's port, paused; null for a machine without one. */
  agent: Socket | null
}

/** ms that a machine that could not be taken over gets to go on. */
const GO_ON_PATIENCE = 1000

export type MakeArguments = (spec: MachineSpec, runtime: QemuRuntime, platform: Platform) => string[]

/**
 * @param memory it waits for memory to go on from, and inherits this file, if any; null: it boots
 * @throws AppError `unavailable` with QEMU's own reason where it does not start, or why no place or file can be had
 */
export async function launch(
  spec: MachineSpec,
  { memory, makeArguments, places = {} }: { memory: { fd: number | null } | null; makeArguments: MakeArguments; places?: RuntimePlaces },
): Promise<Instance> {
  const qemu = spec.qemu
  if (!qemu) throw new AppError('invalid-input', 'This machine is not planned for QEMU.')
  await makeLogFolder(spec.logFolder)
  await copyVariables(qemu.firmware)
  const folder = await makeMachineFolder(places)
  let process: QemuProcess | null = null
  let swtpm: QemuProcess | null = null
  try {
    const runtime = { ...(await runtimeFor(folder, spec, platform())), incoming: memory ? 'defer' : null }
    const logStarts = await Promise.all(runtime.serial.map(({ log }) => sizeOf(log)))
    await noteStart(folder, runtime)
    if (qemu.tpm && runtime.tpm) swtpm = await startTpm(qemu.tpm, runtime.tpm, folder)
    process = await startProcess(qemu.binary, makeArguments(spec, runtime, platform()), folder, memory?.fd ?? null)
    const record: MachineRecord = {
      format: 1,
      pid: process.pid,
      start: process.start,
      startedAt: new Date().toISOString(),
      spec,
      runtime: { ...runtime, serial: [...runtime.serial] },
      logStarts,
    }
    // Before anything else can fail: whoever finds the process finds the record.
    await writeRecord(folder, record)
    const { qmp, serial, agent } = await connectAll(process, runtime)
    // From here on it ends with QEMU.
    swtpm?.dispose()
    return { folder, record, process, qmp, serial, agent }
  } catch (error) {
    for (const one of [process, swtpm]) {
      await one?.kill()
      one?.dispose()
    }
    await removeMachineFolder(folder)
    throw error
  }
}

/** Connects; fails with what QEMU said where it ends first. */
async function connectAll(process: QemuProcess, runtime: QemuRuntime): Promise<Pick<Instance, 'qmp' | 'serial' | 'agent'>> {
  const stop = new AbortController()
  const death = process.ended.then((end) => {
    stop.abort()
    throw didNotStart(end)
  })
  const open: { destroy(): void }[] = []
  try {
    const connecting = (async () => {
      const socket = await connectWhenReady(runtime.qmp, stop.signal)
      open.push(socket)
      const { client } = await QmpClient.open(socket, stop.signal)
      const serial = await Promise.all(runtime.serial.map(({ endpoint }) => connectWhenReady(endpoint, stop.signal)))
      open.push(...serial)
      for (const one of serial) one.pause().on('error', () => {})
      return { qmp: client, serial, agent: await connectAgent(runtime.guestAgent) }
    })()
    // An answer that does not come because QEMU ended has QEMU's end as its reason.
    connecting.catch(() => {})
    return await Promise.race([connecting.catch(() => death), death])
  } catch (error) {
    for (const socket of open) socket.destroy()
    throw error
  } finally {
    death.catch(() => {})
  }
}

/** QEMU listens to all that it has before it answers on its control socket. Null: the machine has no such port. */
async function connectAgent(endpoint: Endpoint): Promise<Socket | null> {
  const socket = await connectOnce(endpoint).catch(() => null)
  return socket && socket.pause().on('error', () => {})
}

/** RunState: its guest has executed nothing, and memory that it waits for does not come any more. */
const NOT_STARTED: ReadonlySet<string> = new Set(['prelaunch', 'inmigrate'])

/**
 * Takes over a machine that an earlier host started. It stands still for a moment, so that the serial ports' logs and connections fit together
 * without a byte lost or doubled; `running`: its owner lets it go on.
 * @throws AppError where it is not that machine any more; `not-found` where it was never started, which ends it
 */
export async function takeOver(
  folder: string,
  record: MachineRecord,
  signal: AbortSignal,
): Promise<{ instance: Instance; running: boolean }> {
  const { client: qmp } = await QmpClient.open(await connectOnce(record.runtime.qmp), signal)
  const serial: Socket[] = []
  let stopped = false
  try {
    const { UUID } = await qmp.execute('query-uuid', null, signal)
    if (UUID !== record.spec.id) throw new AppError('not-found', 'Another machine answers at this machine’s place.')
    const { running, status } = await qmp.execute('query-status', null, signal)
    if (NOT_STARTED.has(status)) {
      await qmp.execute('quit', null, signal).catch(() => {})
      await adoptProcess(record.pid, record.start, Promise.resolve()).ended
      await removeMachineFolder(folder)
      throw new AppError('not-found', 'An earlier host ended while it started this machine.')
    }
    stopped = running || (await ranUntilTaken(folder))
    if (running) {
      await noteRan(folder)
      await qmp.execute('stop', null, signal)
    }
    for (const { endpoint } of record.runtime.serial) serial.push((await connectOnce(endpoint)).pause().on('error', () => {}))
    const closed = new Promise<void>((resolve) => qmp.onClose(() => resolve()))
    const agent = await connectAgent(record.runtime.guestAgent)
    return { instance: { folder, record, process: adoptProcess(record.pid, record.start, closed), qmp, serial, agent }, running: stopped }
  } catch (error) {
    for (const socket of serial) socket.destroy()
    // Nobody else would let it go on.
    if (stopped)
      await qmp.execute('cont', null, AbortSignal.timeout(GO_ON_PATIENCE)).then(
        () => forgetRan(folder),
        () => {},
      )
    qmp.dispose()
    throw asAppError(error, 'Taking over a running machine')
  }
}

/** Everything in the folder; on Windows, on ports of the loopback that are free now. */
export async function runtimeFor(folder: string, spec: MachineSpec, { os }: Platform, port = freePort): Promise<QemuRuntime> {
  const runtime = runtimeIn(folder, spec, join)
  if (os !== 'win32') return runtime
  const inet = async (): Promise<Endpoint> => ({ kind: 'inet', port: await port() })
  const nics: Record<string, Endpoint> = {}
  for (const id of Object.keys(runtime.nics)) nics[id] = await inet()
  const serial: QemuRuntime['serial'][number][] = []
  for (const { log } of runtime.serial) serial.push({ endpoint: await inet(), log })
  return {
    ...runtime,
    ...{ qmp: await inet(), tools: await inet(), serial, nics },
    ...{ display: runtime.display && (await inet()), tpm: runtime.tpm && (await inet()) },
    ...{ guestAgent: await inet(), coppiceAgent: await inet() },
  }
}

/** Where a network card that comes while the machine runs is reached. */
export async function nicEndpoint(folder: string, place: number): Promise<Endpoint> {
  return platform().os === 'win32' ? { kind: 'inet', port: await freePort() } : { kind: 'unix', path: join(folder, nicSocket(place)) }
}

export function platform(): Platform {
  return { os: process.platform as Platform['os'], arch: process.arch as Platform['arch'] }
}

/** Not recursive: a bundle that was deleted does not come back by this. */
async function makeLogFolder(folder: string): Promise<void> {
  await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw asAppError(error, 'Making the folder for the machine’s logs')
  })
}

/** The firmware's variables are the machine's own from its first start on. */
async function copyVariables(firmware: NonNullable<MachineSpec['qemu']>['firmware']): Promise<void> {
  if (firmware.kind === 'bios' || firmware.vars === null) return
  const { template, path } = firmware.vars
  await mkdir(dirname(path)).catch(() => {})
  await copyFile(template, path, constants.COPYFILE_EXCL).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw asAppError(error, 'Copying the firmware’s variables')
  })
}

async function sizeOf(path: string | null): Promise<number> {
  if (path === null) return 0
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}

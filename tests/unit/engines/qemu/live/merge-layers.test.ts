import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { endJob, fileOf, mergeLayers } from '../../../../../src-main/engines/qemu/live/merge-layers.ts'
import type { QmpClient } from '../../../../../src-main/engines/qemu/qmp/qmp-client.ts'
import type { QmpEvent } from '../../../../../src-main/engines/qemu/qmp/messages.ts'
import { Emitter } from '../../../../../src-shared/base/event.ts'
import type { AppError } from '../../../../../src-shared/errors/app-error.ts'
import { tempFolder } from '../../../../support/temp-folder.ts'

const NEVER = new AbortController().signal
const ignore = (): void => {}

/** A QEMU with three layers of a disk open, that does what a test says. */
class Double {
  readonly folder: string
  readonly said: string[] = []
  readonly events = new Emitter<QmpEvent>()
  readonly closed = new Emitter<AppError | null>()
  /** What the monitor for people prints. */
  flushed = ''
  /** Told when a command comes. */
  on: Record<string, (() => void) | undefined> = {}
  jobs: { id: string; 'current-progress': number; 'total-progress': number }[] = []

  constructor(folder: string) {
    this.folder = folder
  }

  tell(name: string, data: Record<string, unknown>): void {
    this.events.fire({ kind: 'event', name, data, at: 0 })
  }

  get qmp(): Pick<QmpClient, 'execute' | 'onEvent' | 'onClose'> {
    const execute = async (command: string, given?: Record<string, unknown>): Promise<unknown> => {
      if (!command.startsWith('query')) this.said.push(command)
      if (command === 'block-stream') {
        this.said.push(JSON.stringify(given))
        this.jobs = [{ id: 'coppice-merge', 'current-progress': 1, 'total-progress': 2 }]
      }
      if (command === 'job-cancel' || command === 'job-finalize') this.jobs = []
      queueMicrotask(() => this.on[command]?.())
      const path = (name: string): string => join(this.folder, name)
      if (command === 'query-jobs') return this.jobs
      if (command === 'human-monitor-command') return this.flushed
      if (command === 'query-named-block-nodes')
        return [
          { 'node-name': 'disk0', drv: 'throttle', file: 'json:{}' },
          { 'node-name': 'disk0-file1', drv: 'qcow2', file: `json:${JSON.stringify({ file: { driver: 'file', filename: path('c') } })}` },
          { 'node-name': 'disk0-file', drv: 'qcow2', file: path('b') },
          { 'node-name': '#block1', drv: 'file', file: path('b') },
          { 'node-name': '#block2', drv: 'raw', file: path('a') },
        ]
      return undefined
    }
    return { execute: execute as QmpClient['execute'], onEvent: this.events.event, onClose: this.closed.event }
  }
}

async function double(): Promise<Double> {
  const folder = await tempFolder()
  for (const name of ['a', 'b', 'c']) await writeFile(join(folder, name), name)
  return new Double(folder)
}
const order = ({ folder }: Double, base: string | null = 'a') => ({
  ...{ lower: join(folder, 'b'), upper: join(folder, 'c') },
  base: base && join(folder, base),
})
const JOB = 'coppice-merge'

test('what QEMU holds back is written out before it names what the disk rests on then', async () => {
  const qemu = await double()
  qemu.on = {
    'block-stream': () => qemu.tell('BLOCK_JOB_PENDING', { type: 'stream', id: JOB }),
    'job-finalize': () => qemu.tell('BLOCK_JOB_COMPLETED', { type: 'stream', device: JOB }),
  }
  await mergeLayers(qemu.qmp, order(qemu), NEVER, ignore)
  expect(qemu.said).toEqual([
    'block-stream',
    JSON.stringify({ 'job-id': JOB, device: 'disk0-file1', 'base-node': '#block2', 'backing-file': 'a', 'auto-finalize': false }),
    ...['human-monitor-command', 'job-finalize', 'blockdev-del'],
  ])
})

test('where that fails, or the job does, or it is cancelled, nothing is named, and nothing of the job is left', async () => {
  const fails = async (prepare: (qemu: Double, stop: AbortController) => void, wanted: object): Promise<void> => {
    const qemu = await double()
    const stop = new AbortController()
    qemu.on['job-cancel'] = () => qemu.tell('JOB_STATUS_CHANGE', { status: 'null', id: JOB })
    prepare(qemu, stop)
    await expect(mergeLayers(qemu.qmp, order(qemu, null), stop.signal, ignore)).rejects.toMatchObject(wanted)
    expect(qemu.said).not.toContain('job-finalize')
    expect(qemu.jobs).toEqual([])
  }
  await fails(
    (qemu) => {
      qemu.flushed = 'Error: no such node\r\n'
      qemu.on['block-stream'] = () => qemu.tell('BLOCK_JOB_PENDING', { id: JOB })
    },
    { code: 'io', message: expect.stringContaining('no such node') as string },
  )
  await fails(
    (qemu) =>
      (qemu.on['block-stream'] = () => {
        qemu.jobs = []
        qemu.tell('BLOCK_JOB_COMPLETED', { device: JOB, error: 'No space left on device' })
      }),
    { code: 'no-space' },
  )
  await fails((qemu, stop) => (qemu.on['block-stream'] = () => stop.abort()), { code: 'cancelled' })
  await fails(
    (qemu) =>
      (qemu.on['block-stream'] = () => {
        qemu.jobs = []
        qemu.closed.fire(null)
      }),
    { code: 'disconnected' },
  )
})

test('a file that the machine does not have open is refused', async () => {
  const qemu = await double()
  await expect(mergeLayers(qemu.qmp, { ...order(qemu), lower: join(qemu.folder, 'x') }, NEVER, ignore)).rejects.toMatchObject({
    code: 'not-found',
  })
  expect(qemu.said).toEqual([])
})

test('a job that an earlier host left is cancelled; where there is none, nothing is', async () => {
  const qemu = await double()
  await endJob(qemu.qmp)
  expect(qemu.said).toEqual([])
  qemu.jobs = [{ id: JOB, 'current-progress': 2, 'total-progress': 2 }]
  qemu.on['job-cancel'] = () => qemu.tell('JOB_STATUS_CHANGE', { status: 'null', id: JOB })
  await endJob(qemu.qmp)
  expect(qemu.said).toEqual(['job-cancel'])
})

test('the file of an image’s node, however QEMU tells it', () => {
  const json = (value: unknown): string => `json:${JSON.stringify(value)}`
  expect(fileOf({ file: '/a/b.qcow2' })).toBe('/a/b.qcow2')
  expect(fileOf({ file: json({ driver: 'qcow2', backing: {}, file: { driver: 'file', filename: '/a b.qcow2' } }) })).toBe('/a b.qcow2')
  for (const file of [
    json({ file: { driver: 'nbd', filename: '/x' } }),
    json({ file: null }),
    json(null),
    json({ file: { driver: 'file' } }),
    'json:{',
  ])
    expect(fileOf({ file })).toBeNull()
})

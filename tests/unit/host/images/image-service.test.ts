/** The host's side alone: the storage thread is a double that does what the test says. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { HoldingMachine } from '../../../../src-main/host/images/image-holders.ts'
import { ImageService } from '../../../../src-main/host/images/image-service.ts'
import { TaskService } from '../../../../src-main/host/tasks/task-service.ts'
import type { HostThread } from '../../../../src-main/host/threads/thread.ts'
import { images } from '../../../../src-shared/api/index.ts'
import type { Task } from '../../../../src-shared/api/tasks.ts'
import { Emitter } from '../../../../src-shared/base/event.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { RpcClient } from '../../../../src-shared/rpc/client.ts'
import { RpcServer } from '../../../../src-shared/rpc/server.ts'
import type { Handlers } from '../../../../src-shared/rpc/service.ts'
import { memoryWirePair } from '../../../../src-shared/rpc/wires/memory-wire.ts'
import { storageThread } from '../../../../src-shared/threads/storage-thread.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

type Thread = Handlers<typeof storageThread>

function client(server: RpcServer): RpcClient {
  const [ours, theirs] = memoryWirePair()
  server.attach(theirs, { kind: 'test' })
  const rpc = new RpcClient(ours)
  onTestFinished(() => rpc.dispose())
  return rpc
}

/** @param thread the calls that the test expects; any other fails */
function serviceOver(thread: Partial<Thread>, machines: HoldingMachine[] = []) {
  const progress = new Emitter<{ job: string; done: number; total: number }>()
  const unexpected = Object.fromEntries(
    Object.keys(storageThread.members).map((name) => [name, () => Promise.reject(new Error(`${name} was not expected.`))]),
  ) as unknown as Thread
  const threadServer = new RpcServer()
  threadServer.register(storageThread, { ...unexpected, ...thread, progress: progress.event })
  const rpc = client(threadServer)
  const tasks = new TaskService()
  onTestFinished(() => tasks.close())
  const storage = { use: <T>(work: (thread: HostThread) => Promise<T>) => work({ rpc } as HostThread) }
  const server = new RpcServer()
  server.register(images, new ImageService({ storage, tasks, machines: async () => machines }).handlers)
  const told: Task[] = []
  const listening = tasks.onChanged((task) => void told.push(task))
  onTestFinished(() => listening.dispose())
  return { images: client(server).service(images), tasks, told, progress }
}

const signalled = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(AppError.cancelled()), { once: true }))

test('a conversion is a task with progress in bytes, which ends with the size of the disk', async () => {
  const service = serviceOver({
    convert: ({ job, from, to }) => {
      expect(from).toEqual({ path: '/a/in.qcow2', format: null, folders: ['/b'] })
      expect(to).toEqual({ path: '/a/out.img', format: 'raw', packed: false, replace: false })
      service.progress.fire({ job: 'another', done: 7, total: 8 })
      service.progress.fire({ job, done: 1024, total: 4096 })
      return { size: 4096 }
    },
  })
  const to = { path: '/a/out.img', format: 'raw' } as const
  const { task } = await service.images.convert({ from: { path: '/a/in.qcow2', folders: ['/b'] }, to })
  expect(await service.tasks.whenEnded(task)).toMatchObject({
    kind: 'convert-image',
    title: 'Converting “in.qcow2” into “out.img”',
    state: 'done',
    machine: null,
    progress: { done: 1024, total: 4096, unit: 'bytes' },
    result: { size: 4096 },
  })
})

test('a compaction and a check end with what they found', async () => {
  const found = { corruptions: 1, leaks: 2, repairedCorruptions: 1, repairedLeaks: 0, findings: ['One.'] }
  const service = serviceOver({
    compact: () => ({ before: 10, after: 4 }),
    check: ({ repair }) => (repair ? found : null),
  })
  const end = async ({ task }: { task: string }) => service.tasks.whenEnded(task)
  const path = '/a/b.qcow2'
  expect(await end(await service.images.compact({ path }))).toMatchObject({
    kind: 'compact-image',
    title: 'Compacting “b.qcow2”',
    result: { room: { before: 10, after: 4 } },
  })
  expect(await end(await service.images.check({ image: { path }, repair: true }))).toMatchObject({
    kind: 'check-image',
    title: 'Repairing “b.qcow2”',
    result: { check: found },
  })
  expect(await end(await service.images.check({ image: { path } }))).toMatchObject({ title: 'Checking “b.qcow2”', result: { check: null } })
})

test('a cancelled task stops the thread’s work', async () => {
  let stopped = (): void => {}
  const stop = new Promise<void>((resolve) => (stopped = resolve))
  let begun = (): void => {}
  const begin = new Promise<void>((resolve) => (begun = resolve))
  const service = serviceOver({
    compact: (_, { signal }) => {
      begun()
      return signalled(signal).finally(stopped)
    },
  })
  const { task } = await service.images.compact({ path: '/a/b.qcow2' })
  await begin
  await service.tasks.handlers.cancel({ id: task }, { signal: new AbortController().signal, peer: { kind: 'test' } })
  expect(await service.tasks.whenEnded(task)).toMatchObject({ state: 'cancelled', error: null })
  await stop
})

test('paths that are not whole are refused, and so are too many folders', async () => {
  const { images } = serviceOver({})
  await expect(images.info({ path: 'b.qcow2' })).rejects.toMatchObject({
    code: 'invalid-input',
    details: { fields: [{ path: 'path', message: 'A disk image needs its full path.' }] },
  })
  const many = { path: '/b.qcow2', folders: Array.from({ length: 17 }, (_, n) => `/${n}`) }
  await expect(images.compact(many)).rejects.toMatchObject({ details: { fields: [{ path: 'folders' }] } })
  const create = images.create({ path: '/c.img', format: 'raw', size: 512, backing: { path: 'a.img' } })
  await expect(create).rejects.toMatchObject({ details: { fields: [{ path: 'backing.path' }] } })
})

test('no task begins for what a machine forbids, and its disk has the format that it says', async () => {
  const folder = await tempFolder()
  const path = join(folder, 'disk.img')
  await writeFile(path, 'disk')
  const machine = {
    id: 'm1',
    bundle: { name: 'web', folder, config: { drives: [{ id: 'disk0', kind: 'disk', path: 'disk.img', format: 'raw', readOnly: false }] } },
    state: 'running',
    session: null,
    hold: async (_: string, work: () => Promise<unknown>) => work(),
  }
  const formats: unknown[] = []
  const service = serviceOver(
    {
      compact: ({ image }) => {
        formats.push(image.format)
        return { before: 1, after: 1 }
      },
    },
    [machine as unknown as HoldingMachine],
  )
  for (const attempt of [
    () => service.images.info({ path }),
    () => service.images.resize({ image: { path }, size: 512 }),
    () => service.images.compact({ path }),
    () => service.images.check({ image: { path } }),
    () => service.images.convert({ from: { path }, to: { path: '/x.img', format: 'raw' } }),
    () => service.images.convert({ from: { path: '/x.img' }, to: { path, format: 'raw', replace: true } }),
    () => service.images.create({ path: '/x.qcow2', format: 'qcow2', size: null, backing: { path } }),
  ])
    await expect(attempt()).rejects.toMatchObject({ code: 'busy', message: expect.stringContaining('“web”') as string })
  expect(service.told).toEqual([])
  machine.state = 'off'
  const { task } = await service.images.compact({ path })
  expect(await service.tasks.whenEnded(task)).toMatchObject({ state: 'done', machine: 'm1' })
  expect(formats).toEqual(['raw'])
})

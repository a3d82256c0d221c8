/** kill -9 of a host in the middle of importing and exporting: a machine is in the library whole or not at all, and a file that was there stays. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { exchange } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { isTemporary } from '../../../src-main/files/write-file-atomic.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import type { ExchangeOrder } from './support/exchange-child.ts'
import { testHost } from './support/test-host.ts'

const CHILD = join(import.meta.dirname, 'support/exchange-child.ts')
/** Hosts that are killed for each kind of work, at moments over all of its length. */
const KILLS = 4
const SIZE = 24 * MiB

/** @returns how long it took, in ms; null: it was killed */
async function perform(order: ExchangeOrder, killAfter: number | null): Promise<number | null> {
  const child = fork(CHILD, [JSON.stringify(order)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  const [first] = (await once(child, 'message')) as [string]
  expect(first).toBe('begins')
  const began = performance.now()
  const ended = once(child, 'message') as Promise<[string]>
  const last = killAfter === null ? await ended : await Promise.race([ended, sleep(killAfter)])
  const took = performance.now() - began
  child.kill('SIGKILL')
  await exited
  if (!last) return null
  expect(last[0]).toBe('done')
  return took
}

async function diskOf(host: Awaited<ReturnType<typeof testHost>>, id: string): Promise<{ path: string; disks: string }> {
  const { bundle, config } = await host.machines.get({ id })
  return { path: join(bundle, config!.drives[0]!.path!), disks: join(bundle, 'disks') }
}

/** A machine with a full disk, both kinds of files of it, and what its disk has. */
async function source() {
  const host = await testHost()
  const folder = await tempFolder()
  const id = await host.make('web-1', '', { newDiskBytes: SIZE })
  const content = noise(seeded(11), SIZE)
  const image = await openImage({ path: (await diskOf(host, id)).path, format: 'qcow2', readOnly: false })
  await image.write(0, content)
  await image.close()
  const files: Record<string, string> = {}
  for (const format of ['ova', 'coppice'] as const) {
    files[format] = join(folder, `a.${format}`)
    await host.done(host.rpc.service(exchange).export({ id, format, path: files[format] }))
  }
  await host.host.close()
  return { id, library: host.library, cacheFolder: folder, content, files, folder }
}

describe.each(['ova', 'coppice'] as const)('%s', (format) => {
  test('a host that is killed leaves the old state or the new one', { timeout: 120_000 }, async () => {
    const { id, library, cacheFolder, content, files, folder } = await source()
    const random = seeded(20_261_121)

    let length = 0
    for (let kill = -1; kill < KILLS; kill++) {
      const into = join(await tempFolder(), 'library')
      const took = await perform(
        { library: into, cacheFolder, work: { kind: 'import', path: files[format]! } },
        kill < 0 ? null : random(length),
      )
      if (kill < 0) length = took!
      const host = await testHost({ library: into })
      const found = await host.machines.list({})
      if (took !== null) expect(found).toHaveLength(1)
      for (const machine of found) {
        expect(machine).toMatchObject({ name: 'imported', state: 'off', problem: null })
        const { path } = await diskOf(host, machine.id)
        const image = await openImage({ path, format: 'qcow2', readOnly: true })
        expect(Buffer.compare(await readBytes(image, 0, SIZE), content)).toBe(0)
        await image.close()
      }
      // What a host left is gone with the start of the next.
      await host.host.close()
      expect((await readdir(into)).filter((name) => name.startsWith('.new-'))).toEqual([])
    }

    for (let kill = -1; kill < KILLS; kill++) {
      const path = join(folder, `target.${format}`)
      await writeFile(path, 'old')
      const took = await perform({ library, cacheFolder, work: { kind: 'export', id, format, path } }, kill < 0 ? null : random(length))
      if (kill < 0) length = took!
      const now = await readFile(path)
      if (took === null && now.toString() === 'old') {
        const others = (await readdir(folder)).filter((name) => !['a.ova', 'a.coppice', `target.${format}`].includes(name))
        expect(others.every(isTemporary)).toBe(true)
        for (const name of others) await rm(join(folder, name))
      } else {
        const host = await testHost()
        const { result } = await host.done(host.rpc.service(exchange).import({ path }))
        const image = await openImage({ path: (await diskOf(host, result!.id!)).path, format: 'qcow2', readOnly: true })
        expect(Buffer.compare(await readBytes(image, 0, SIZE), content)).toBe(0)
        await image.close()
        await host.host.close()
      }
      // The machine is free for others at once.
      const host = await testHost({ library })
      expect(await host.machines.get({ id })).toMatchObject({ state: 'off', problem: null, task: null })
      await host.host.close()
    }
  })
})

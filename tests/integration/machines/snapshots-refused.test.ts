/** Snapshots that cannot be taken or gone back to: full disks, and bundles from elsewhere. The machine is as before, and nothing of anybody’s is deleted. */
import { mkdir, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { snapshots } from '../../../src-shared/api/index.ts'
import { newId } from '../../../src-shared/base/ids.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { fillDisk, smallDisk } from '../../support/small-disk.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { testHost, type TestHost } from './support/test-host.ts'

/** Bytes by which the room grows, from none until it is enough. */
const STEP = 16 * 1024

const service = (host: TestHost) => host.rpc.service(snapshots)
const take = async (host: TestHost, machine: string, label: string): Promise<string> =>
  (await host.done(service(host).take({ machine, label }))).result!.id!
const restore = (host: TestHost, machine: string, snapshot: string, keep: string | null = null) =>
  host.done(service(host).restore({ machine, snapshot, keep }))

/** Every file of the machine's own, locks and logs aside. */
async function filesOf(bundle: string): Promise<string[]> {
  const names = await readdir(bundle, { recursive: true })
  return names.filter((name) => !name.startsWith('logs') && !name.endsWith('lock')).sort()
}

async function running(host: TestHost): Promise<{ id: string; bundle: string }> {
  const id = await host.make('web-1', '', { newDiskBytes: MiB })
  await host.machines.start({ id })
  await host.machines.waitBooted({ id })
  return { id, bundle: (await host.machines.get({ id })).bundle }
}

describe('a full disk', () => {
  test.for(['off', 'suspended', 'running'] as const)(
    'at any step, of a machine that is %s: it is as before, nothing is left',
    async (state, context) => {
      const library = await smallDisk(context, 8)
      const host = await testHost({ library })
      const { id, bundle } = await running(host)
      const first = await take(host, id, 'first')
      if (state === 'off') await host.machines.powerOff({ id })
      if (state === 'suspended') await host.done(host.machines.suspend({ id }))
      const works = [() => take(host, id, 'no'), () => restore(host, id, first, 'kept'), () => restore(host, id, first)]
      let refused = 0
      for (const work of works)
        for (let room = 0; ; room += STEP) {
          const reserve = join(library, '.reserve')
          await writeFile(reserve, new Uint8Array(room))
          const giveBack = await fillDisk(library)
          await rm(reserve)
          const { state: was } = await host.machines.get({ id })
          const files = await filesOf(bundle)
          const error = await work().then(
            () => null,
            (reason: unknown) => reason,
          )
          await giveBack()
          if (error === null) break
          refused++
          expect(error, `${room} bytes`).toMatchObject({ code: 'no-space' })
          expect(await host.machines.get({ id }), `${room} bytes`).toMatchObject({ state: was })
          // Disks of one that runs may have gone on already. What was kept first stays kept.
          const others = (names: string[]): string[] => (state === 'running' ? names.filter((name) => !name.startsWith('disks/')) : names)
          if (work !== works[1]) expect(others(await filesOf(bundle)), `${room} bytes`).toEqual(others(files))
        }
      expect(refused).toBeGreaterThan(10)
      await host.host.close()
    },
  )
})

describe('a machine that runs', () => {
  test('is not ended for a snapshot whose disk is missing or damaged, with or without keeping it', async () => {
    const host = await testHost()
    const { id, bundle } = await running(host)
    const first = await take(host, id, 'first')
    const second = await take(host, id, 'second')
    await restore(host, id, first)
    const { config } = JSON.parse(await readFile(join(bundle, 'snapshots', second, 'snapshot.json'), 'utf8')) as {
      config: { drives: { path: string }[] }
    }
    const disk = join(bundle, config.drives[0]!.path)
    const harms = [() => rename(disk, `${disk}.away`), () => writeFile(disk, 'no image'), () => truncate(disk, 0)]
    for (const harm of harms) {
      await harm()
      const before = await filesOf(bundle)
      for (const keep of [null, 'kept']) await expect(restore(host, id, second, keep)).rejects.toMatchObject({ message: /Going back|“/ })
      expect(await host.machines.get({ id })).toMatchObject({ state: 'running' })
      expect(await filesOf(bundle)).toEqual(before)
    }
  })

  test('has one thing done after the other', async () => {
    const host = await testHost()
    const { id } = await running(host)
    const first = await take(host, id, 'first')
    const labels = ['a', 'b', 'c']
    const started = labels.map((label) => take(host, id, label))
    started.push(restore(host, id, first, 'kept').then(() => ''))
    await Promise.all(started)
    expect((await service(host).tree({ machine: id })).snapshots.map(({ label }) => label)).toEqual(['first', ...labels, 'kept'])
    expect(await host.machines.get({ id })).toMatchObject({ state: 'running' })
    // A deletion waits to merge until it is off, and does not get in the way of going back, which ends it.
    await host.done(service(host).delete({ machine: id, snapshot: first, subtree: false }))
    const { snapshots: left } = await service(host).tree({ machine: id })
    await restore(host, id, left[0]!.id)
    expect(await host.machines.get({ id })).toMatchObject({ state: 'running' })
  })

  test('cancelled at any moment goes on', async () => {
    const host = await testHost()
    const { id } = await running(host)
    for (let turn = 0; turn < 12; turn++) {
      const { task } = await service(host).take({ machine: id, label: `t${turn}` })
      for (let wait = 0; wait < turn * 3; wait++) await new Promise((resolve) => setImmediate(resolve))
      await host.tasks.cancel({ id: task }).catch(() => {})
      expect(['done', 'cancelled']).toContain((await host.tasks.wait({ id: task })).state)
      expect(await host.machines.get({ id })).toMatchObject({ state: 'running' })
    }
  })
})

test('the memory of a suspended machine stays its own when the snapshot is deleted that it went back to', async () => {
  const host = await testHost()
  const { id } = await running(host)
  const first = await take(host, id, 'first')
  await host.done(host.machines.suspend({ id }))
  const second = await take(host, id, 'second')
  for (const snapshot of [second, first]) await host.done(service(host).delete({ machine: id, snapshot, subtree: false }))
  expect(await host.machines.resume({ id })).toMatchObject({ state: 'running', lastError: null })
})

describe('a bundle from elsewhere', () => {
  async function made(): Promise<{ host: TestHost; id: string; bundle: string; snapshot: string; outside: string }> {
    const host = await testHost()
    const id = await host.make('web-1', '', { newDiskBytes: MiB })
    const outside = await tempFolder()
    await writeFile(join(outside, 'mine.img'), 'mine')
    return { host, id, bundle: (await host.machines.get({ id })).bundle, snapshot: await take(host, id, 'first'), outside }
  }

  test.for(['garbage', '{}', 'climbing', 'elsewhere'])(
    'with a snapshot.json that is %s: a sentence, and nothing is touched',
    async (harm) => {
      const { host, id, bundle, snapshot, outside } = await made()
      const path = join(bundle, 'snapshots', snapshot, 'snapshot.json')
      const good = JSON.parse(await readFile(path, 'utf8')) as { config: { drives: { path: string }[] } }
      good.config.drives[0]!.path = harm === 'climbing' ? '../x/mine.img' : join(outside, 'mine.img')
      await writeFile(path, harm === 'climbing' || harm === 'elsewhere' ? JSON.stringify(good) : harm)
      const before = await filesOf(bundle)
      if (harm === 'elsewhere') await service(host).tree({ machine: id })
      else {
        await expect(service(host).tree({ machine: id })).rejects.toMatchObject({ code: 'corrupt' })
        await expect(restore(host, id, snapshot)).rejects.toMatchObject({ code: 'corrupt' })
        await expect(host.done(service(host).delete({ machine: id, snapshot, subtree: false }))).rejects.toMatchObject({ code: 'corrupt' })
        expect(await filesOf(bundle)).toEqual(before)
      }
      expect(await readFile(join(outside, 'mine.img'), 'utf8')).toBe('mine')
      expect(await readdir(outside)).toEqual(['mine.img'])
    },
  )

  test.for(['disks', 'snapshots'])('whose folder %s is a link: refused, and nothing is written or deleted there', async (name) => {
    const { host, id, bundle, snapshot, outside } = await made()
    await rename(join(bundle, name), join(outside, name))
    await symlink(join(outside, name), join(bundle, name))
    const before = await filesOf(outside)
    for (const work of [
      () => take(host, id, 'no'),
      () => restore(host, id, snapshot),
      () => host.done(service(host).delete({ machine: id, snapshot, subtree: false })),
    ])
      await expect(work()).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('is a link') as string })
    expect(await filesOf(outside)).toEqual(before)
  })

  test('with rings of parents, and more snapshots than can be made: all are shown, none can be added', async () => {
    const { host, id, bundle, snapshot } = await made()
    const text = await readFile(join(bundle, 'snapshots', snapshot, 'snapshot.json'), 'utf8')
    const ids = Array.from({ length: 500 }, newId)
    for (const [at, one] of ids.entries()) {
      await mkdir(join(bundle, 'snapshots', one))
      const wrong = { ...(JSON.parse(text) as object), id: one, parent: ids[(at + 1) % ids.length] }
      await writeFile(join(bundle, 'snapshots', one, 'snapshot.json'), JSON.stringify(wrong))
    }
    const tree = await service(host).tree({ machine: id })
    expect(tree.snapshots).toHaveLength(501)
    expect(tree.snapshots.filter(({ parent }) => parent === null)).toHaveLength(2)
    await expect(take(host, id, 'no')).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('with leftovers of going back that belong to no state: they are thrown away, and name no file outside', async () => {
    const { host, id, bundle, outside } = await made()
    const { config } = await host.machines.get({ id })
    await mkdir(join(bundle, 'returning'))
    const plan = { schema: 1, config, memory: false, firmware: false, gone: [join(outside, 'mine.img'), '../../mine.img', 'machine.json'] }
    await writeFile(join(bundle, 'returning/returning.json'), JSON.stringify(plan))
    expect(await host.machines.start({ id })).toMatchObject({ state: 'running' })
    expect(await readdir(bundle)).toContain('machine.json')
    expect(await readdir(bundle)).not.toContain('returning')
    expect(await readdir(outside)).toEqual(['mine.img'])
  })
})

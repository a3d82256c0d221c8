/** Hardware of machines that run, through the host: what the engine is told, what the configuration says then, and what is refused. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { MachineView } from '../../../src-shared/api/machines.ts'
import type { Drive, MachinePatch } from '../../../src-shared/model/machine.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { fakeIso, put } from './support/fake-files.ts'
import { attach, testHost, type TestHost } from './support/test-host.ts'

/** A CD that begins with these four letters. */
function cd(text: string): Uint8Array {
  const bytes = fakeIso(20)
  bytes.set(new TextEncoder().encode(text))
  return bytes
}

interface Running {
  host: TestHost
  id: string
  folder: string
  update(patch: MachinePatch): Promise<MachineView>
  /** With this in its CD drive. */
  insert(path: string | null): Promise<MachineView>
}

async function running(cmdline = ''): Promise<Running> {
  const host = await testHost()
  const folder = await tempFolder()
  const id = await host.make('web-1', cmdline)
  const update = (patch: MachinePatch): Promise<MachineView> => host.machines.update({ id, patch })
  await update({ drives: [drive(null)] })
  await host.machines.start({ id })
  await host.machines.waitBooted({ id })
  return { host, id, folder, update, insert: (path) => update({ drives: [drive(path)] }) }
}
const drive = (path: string | null, id = 'cd0', kind: Drive['kind'] = 'cdrom'): Drive => ({
  ...{ id, kind, path, format: 'raw', readOnly: true, limits: null },
})
const pathOf = async ({ bundle }: MachineView): Promise<unknown> =>
  (JSON.parse(await readFile(join(bundle, 'machine.json'), 'utf8')) as { drives: Drive[] }).drives[0]?.path

describe('a CD', () => {
  test('is inserted, changed and ejected while the machine runs or is paused; its file is free again', async () => {
    const { host, id, folder, insert } = await running()
    const console = await attach(host, id)
    const first = await put(join(folder, 'first.iso'), cd('one.'))
    const second = await put(join(folder, 'second.iso'), cd('two.'))
    const view = await insert(first)
    expect([view.config!.drives[0]!.path, await pathOf(view)]).toEqual([first, first])
    await console.until('[one.]')
    await host.machines.pause({ id })
    expect(await pathOf(await insert(second))).toBe(second)
    await host.machines.resume({ id })
    await console.until('[two.]')
    expect(await pathOf(await insert(null))).toBeNull()

    // What was inserted is locked for reading until it is out.
    const disk = await host.make('db-1', '', {})
    const writes = { ...drive(second, 'disk0', 'disk'), readOnly: false }
    await host.machines.update({ id: disk, patch: { drives: [writes] } })
    await host.machines.start({ id: disk })
    await expect(insert(second)).rejects.toMatchObject({ code: 'busy' })
    expect((await host.machines.get({ id })).config!.drives[0]!.path).toBeNull()
    await host.machines.powerOff({ id: disk })
    await insert(second)
  })

  test('that the guest ejects is out in the configuration, too', async () => {
    const { host, id, folder, insert } = await running()
    const path = await put(join(folder, 'a.iso'), cd('one.'))
    await insert(path)
    await host.machines.type({ id, text: 'eject cd0\n' })
    expect(await pathOf(await host.until(id, ({ config }) => config!.drives[0]!.path === null))).toBeNull()
    await insert(path)
    await host.done(host.machines.suspend({ id }))
    expect(await host.machines.resume({ id })).toMatchObject({ state: 'running', config: { drives: [{ path }] } })
  })

  test('that is none stays out, and says why', async () => {
    const { host, id, folder, insert } = await running()
    const there = await put(join(folder, 'a.iso'), cd('one.'))
    await insert(there)
    await mkdir(join(folder, 'folder'))
    const wrong: [string, string][] = [
      [join(folder, 'none.iso'), 'is not there'],
      [join(folder, 'folder'), 'is a folder'],
      [await put(join(folder, 'empty.iso'), ''), 'is empty'],
      [await put(join(folder, 'cut.iso'), fakeIso(2000).subarray(0, 20 * 2048)), 'is truncated'],
    ]
    for (const [path, why] of wrong) {
      const fields = [{ path: 'drives.0.path', message: expect.stringContaining(why) as string }]
      await expect(insert(path)).rejects.toMatchObject({ code: 'invalid-input', details: { fields } })
    }
    expect(await host.machines.get({ id })).toMatchObject({ state: 'running', config: { drives: [{ path: there }] } })
  })
})

describe('what runs', () => {
  test('says what can change, and is asked no more when it is off', async () => {
    const { host, id, update } = await running()
    const { live } = await host.machines.get({ id })
    expect(live?.why).toMatchObject({ cdrom: null, link: null, cpus: 'The embedded engine has one processor.' })
    const nics = [{ ...(await host.machines.get({ id })).config!.nics[0]!, link: 'up' as const }]
    expect(await update({ nics })).toMatchObject({ config: { nics: [{ link: 'up' }] }, live: { leaving: [] } })
    await host.machines.powerOff({ id })
    expect(await host.machines.get({ id })).toMatchObject({ live: null, config: { nics: [{ link: 'up' }] } })
    expect(await update({ memoryMiB: 128, drives: [] })).toMatchObject({ config: { memoryMiB: 128, drives: [] } })
  })

  test('refuses each field that cannot change now, and changes nothing', async () => {
    const { host, id, folder, update } = await running()
    const before = (await host.machines.get({ id })).config!
    const iso = await put(join(folder, 'a.iso'), cd('one.'))
    const drives = [drive(iso), { ...drive(await put(join(folder, 'disk'), cd('disk')), 'disk0', 'disk') }]
    const refused = update({ memoryMiB: before.memoryMiB * 2, serialPorts: 2, drives, notes: 'kept?' })
    await expect(refused).rejects.toMatchObject({
      code: 'wrong-state',
      details: { fields: [{ path: 'serialPorts' }, { path: 'drives.1' }, { path: 'memoryMiB' }] },
    })
    await expect(update({ drives: [] })).rejects.toMatchObject({ code: 'wrong-state', details: { fields: [{ path: 'drives' }] } })
    await expect(update({ drives: [drive(null), drive(null)] })).rejects.toMatchObject({ code: 'invalid-input' })
    expect((await host.machines.get({ id })).config).toEqual(before)
    expect(await update({ notes: 'kept', tags: ['a'] })).toMatchObject({ config: { notes: 'kept', tags: ['a'] } })
  })

  test('takes back what was done of a change that fails in the middle', async () => {
    const { host, id, folder, update } = await running('clamped')
    const iso = await put(join(folder, 'a.iso'), cd('one.'))
    await update({ drives: [drive(iso)] })
    const nics = [{ ...(await host.machines.get({ id })).config!.nics[0]!, link: 'up' as const }]
    await update({ nics })
    // The CD does not come out; the link was next.
    await expect(update({ drives: [drive(null)], nics: [{ ...nics[0]!, link: 'down' }] })).rejects.toMatchObject({ code: 'io' })
    expect(await host.machines.get({ id })).toMatchObject({ config: { drives: [{ path: iso }], nics: [{ link: 'up' }] } })
  })
})

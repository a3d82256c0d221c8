import { link, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ImageHolders, type HoldingMachine } from '../../../../src-main/host/images/image-holders.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { driveSchema, type Drive } from '../../../../src-shared/model/machine.ts'
import type { MachineState } from '../../../../src-shared/model/machine-state.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

interface Double extends HoldingMachine {
  state: MachineState
  held: string[]
}

interface Setting {
  state?: MachineState
  drive?: Partial<Drive>
  /** What runs, where that is not what the configuration says. */
  runs?: { engine: 'embedded' | 'qemu'; path: string }
}

/** A machine with one disk, as far as holders look at it. */
function machine(name: string, folder: string, { state = 'off', drive = {}, runs }: Setting = {}): Double {
  const drives = [driveSchema.parse({ id: 'disk0', kind: 'disk', path: 'disk.img', ...drive })]
  const held: string[] = []
  const spec = runs && { drives: [{ ...drives[0]!, path: runs.path }] }
  return {
    id: name,
    bundle: { name, folder, config: { drives } },
    state,
    session: runs ? { kind: runs.engine, spec } : null,
    held,
    hold: async (what: string, work: () => Promise<unknown>) => {
      held.push(what)
      try {
        return await work()
      } finally {
        held.push('let go')
      }
    },
  } as unknown as Double
}

async function setting(...machines: ((folder: string) => Double)[]) {
  const folder = await tempFolder()
  const path = join(folder, 'disk.img')
  await writeFile(path, 'disk')
  await writeFile(join(folder, 'other.img'), 'other')
  const made = machines.map((make) => make(folder))
  const layers = new Map<string, string[]>()
  const holders = new ImageHolders({ machines: async () => made, layersOf: async (image) => layers.get(image.path) ?? [] })
  return { folder, path, machines: made, holders, layers }
}

const reading = (path: string) => [{ path, write: false }]
const writing = (path: string) => [{ path, write: true }]

describe('an image that a machine has', () => {
  test.each(['running', 'paused', 'starting', 'suspending'] as const)('is left alone while it is %s', async (state) => {
    const { path, holders } = await setting((folder) => machine('web', folder, { state }))
    const refusal = {
      code: 'busy',
      message: `“${path}” is in use by the machine “web”, which is ${state}. Shut it down and try again.`,
      details: { subject: path },
    }
    await expect(holders.check(reading(path))).rejects.toMatchObject(refusal)
    await expect(holders.hold(writing(path), 'having a disk resized', async () => 1)).rejects.toMatchObject(refusal)
  })

  test('is known by every path to it', async () => {
    const { folder, path, holders } = await setting((folder) => machine('web', folder, { state: 'running' }))
    await symlink(path, join(folder, 'by-link.img'))
    await link(path, join(folder, 'by-name.img'))
    for (const name of ['by-link.img', 'by-name.img', './disk.img', '../' + folder.split('/').at(-1)! + '/disk.img'])
      await expect(holders.check(writing(join(folder, name)))).rejects.toMatchObject({ code: 'busy' })
    expect(await holders.check(writing(join(folder, 'other.img')))).toEqual([])
    expect(await holders.check(writing(join(folder, 'not-there.img')))).toEqual([])
  })

  test('may be read by others where the machine that runs only reads it', async () => {
    for (const drive of [{ readOnly: true }, { kind: 'cdrom' as const }]) {
      const { path, holders, machines } = await setting((folder) => machine('web', folder, { state: 'running', drive }))
      expect(await holders.check(reading(path))).toEqual([])
      await expect(holders.check(writing(path))).rejects.toMatchObject({ code: 'busy' })
      expect(await holders.hold(reading(path), 'having a disk converted', async () => 'done')).toBe('done')
      expect(machines[0]!.held).toEqual([])
    }
  })

  test('is what runs of it, whatever its configuration says by now', async () => {
    const { folder, path, holders } = await setting((folder) =>
      machine('web', folder, { state: 'running', runs: { engine: 'embedded', path: join(folder, 'other.img') } }),
    )
    await expect(holders.check(reading(join(folder, 'other.img')))).rejects.toMatchObject({ code: 'busy' })
    expect(await holders.check(reading(path))).toEqual([])
  })

  test.each([
    { state: 'running', code: 'busy' },
    { state: 'suspended', code: 'wrong-state' },
  ] as const)('is not changed below the disk of a machine that is $state', async ({ state, code }) => {
    const { folder, path, holders, layers } = await setting((folder) =>
      machine('web', folder, {
        ...{ state, drive: { format: 'qcow2', path: 'other.img' } },
        ...(state === 'running' ? { runs: { engine: 'qemu', path: join(folder, 'other.img') } } : {}),
      }),
    )
    layers.set(join(folder, 'other.img'), [path])
    await expect(holders.check(writing(path))).rejects.toMatchObject({ code })
    expect(await holders.check(reading(path))).toEqual([])
  })

  test('is not changed while the machine is suspended, and can be read', async () => {
    const { path, holders, machines } = await setting((folder) => machine('web', folder, { state: 'suspended' }))
    await expect(holders.check(writing(path))).rejects.toMatchObject({
      code: 'wrong-state',
      message: expect.stringContaining('“web”, which is suspended') as string,
    })
    expect(await holders.check(reading(path))).toEqual(machines)
  })

  test('keeps machines that are off from starting until the work is done', async () => {
    const { path, holders, machines } = await setting(
      (folder) => machine('a', folder),
      (folder) => machine('b', folder, { state: 'crashed' }),
      (folder) => machine('c', folder, { drive: { path: 'other.img' } }),
    )
    const during = await holders.hold(writing(path), 'having a disk compacted', async () => machines.map(({ held }) => [...held]))
    expect(during).toEqual([['having a disk compacted'], ['having a disk compacted'], []])
    expect(machines.map(({ held }) => held.at(-1))).toEqual(['let go', 'let go', undefined])
    const failing = holders.hold(writing(path), 'having a disk compacted', () => Promise.reject(new Error('no')))
    await expect(failing).rejects.toThrow('no')
    expect(machines[0]!.held.at(-1)).toBe('let go')
  })

  test('is refused where the machine was started just before it could be held', async () => {
    const { path, holders, machines } = await setting((folder) => machine('a', folder))
    const [only] = machines
    const { hold } = only!
    only!.hold = (what, work) => {
      only!.state = 'running'
      return hold(what, work)
    }
    await expect(holders.hold(writing(path), 'having a disk resized', async () => 1)).rejects.toMatchObject({ code: 'busy' })
  })

  test('has the format that the machine declares', async () => {
    const { folder, path, holders } = await setting((folder) => machine('a', folder, { drive: { format: 'qcow2' } }))
    expect(await holders.declaredFormat(path)).toBe('qcow2')
    expect(await holders.declaredFormat(join(folder, 'other.img'))).toBe(null)
  })
})

test('the machine is named where only the storage thread saw that the image is in use', async () => {
  const { path, holders, machines } = await setting((folder) => machine('web', folder))
  const busy = new AppError('busy', 'It is in use by another machine.', { subject: path })
  const refused = async () => Promise.reject(busy)
  await expect(holders.naming(refused)).rejects.toBe(busy)
  machines[0]!.state = 'running'
  await expect(holders.naming(refused)).rejects.toMatchObject({ message: expect.stringContaining('“web”') as string })
})

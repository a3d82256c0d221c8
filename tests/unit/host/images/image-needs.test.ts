import { link, mkdir, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ImageNeeds, type NeedingMachine } from '../../../../src-main/host/images/image-needs.ts'
import { filesBelow } from '../../../../src-main/storage/chain/rests-on.ts'
import { createImage } from '../../../../src-main/storage/jobs/create-image.ts'
import { newId } from '../../../../src-shared/base/ids.ts'
import { dependentWords } from '../../../../src-shared/model/dependent.ts'
import { parseMachineConfig, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const MiB = 1024 * 1024

interface Drive {
  path: string
  format?: string
  kind?: string
}

function configOf(name: string, drives: readonly Drive[]): MachineConfig {
  return parseMachineConfig({
    ...{ schema: 1, id: newId(), created: new Date().toISOString(), name, boot: { kind: 'firmware' } },
    drives: drives.map((drive, i) => ({ id: `disk${i}`, kind: 'disk', ...drive })),
  })
}

async function library() {
  const folder = await realpath(await tempFolder())
  const machines: NeedingMachine[] = []
  let asked = 0
  const needs = new ImageNeeds({
    machines: async () => machines,
    restsOn: ({ path, format }) => {
      asked++
      return filesBelow(path, format)
    },
  })
  const bundle = (name: string): string => join(folder, `${name}.coppice`)
  return {
    needs,
    asked: () => asked,
    bundle,
    async image(path: string, backing: string | null = null): Promise<string> {
      await mkdir(join(path, '..'), { recursive: true })
      await createImage({
        path,
        format: 'qcow2',
        size: MiB,
        backing: backing === null ? null : { path: backing, format: null, folders: [] },
      })
      return path
    },
    async machine(name: string, drives: readonly Drive[], snapshots: readonly { label: string; drives: readonly Drive[] }[] = []) {
      await mkdir(bundle(name), { recursive: true })
      const config = configOf(name, drives)
      for (const [i, { label, drives: frozen }] of snapshots.entries()) {
        const id = newId()
        await mkdir(join(bundle(name), 'snapshots', id), { recursive: true })
        const created = new Date(Date.UTC(2026, 0, 1 + i)).toISOString()
        const snapshot = { schema: 1, id, parent: null, label, created, config: configOf(name, frozen), memory: null }
        await writeFile(join(bundle(name), 'snapshots', id, 'snapshot.json'), JSON.stringify(snapshot))
      }
      const made = { id: config.id, bundle: { id: config.id, name, folder: bundle(name), config } } as unknown as NeedingMachine
      machines.push(made)
      return made
    },
  }
}

const qcow2 = (path: string): Drive => ({ path, format: 'qcow2' })

test('what others need of a machine’s bundle: drives in place, and images below disks, now and in snapshots', async () => {
  const { needs, bundle, image, machine } = await library()
  const disk = await image(join(bundle('a'), 'disks', 'disk0.qcow2'))
  const media = join(bundle('a'), 'media.iso')
  await writeFile(media, 'x')
  const a = await machine('a', [qcow2('disks/disk0.qcow2')])
  await machine('b', [qcow2('disks/over.qcow2'), { path: media, kind: 'cdrom', format: 'raw' }])
  await image(join(bundle('b'), 'disks', 'over.qcow2'), disk)
  await image(join(bundle('c'), 'disks', 'own.qcow2'))
  await image(join(bundle('c'), 'disks', 'then.qcow2'), disk)
  const c = await machine('c', [qcow2('disks/own.qcow2')], [{ label: 'then', drives: [qcow2('disks/then.qcow2')] }])
  const found = await needs.dependentsOf(a)
  expect(found.map((one) => ({ ...one, machine: one.machine.name }))).toEqual([
    { machine: 'b', file: 'disks/disk0.qcow2', how: 'below', snapshot: null },
    { machine: 'b', file: 'media.iso', how: 'drive', snapshot: null },
    { machine: 'c', file: 'disks/disk0.qcow2', how: 'below', snapshot: 'then' },
  ])
  expect(found.map(dependentWords)).toEqual([
    '“b” has a disk that rests on “disks/disk0.qcow2”',
    '“b” has “media.iso” as a drive',
    'The snapshot “then” of “c” has a disk that rests on “disks/disk0.qcow2”',
  ])
  expect(await needs.dependentsOf(c)).toEqual([])
})

test('files that have a second name in another bundle are needed by nobody else', async () => {
  const { needs, bundle, image, machine } = await library()
  const disk = await image(join(bundle('a'), 'disks', 'disk0.qcow2'))
  await mkdir(join(bundle('b'), 'disks'), { recursive: true })
  await link(disk, join(bundle('b'), 'disks', 'disk0.qcow2'))
  await image(join(bundle('b'), 'disks', 'over.qcow2'), join(bundle('b'), 'disks', 'disk0.qcow2'))
  const a = await machine('a', [qcow2('disks/disk0.qcow2')])
  const b = await machine('b', [qcow2('disks/over.qcow2')])
  expect(await needs.dependentsOf(a)).toEqual([])
  expect(await needs.dependentsOf(b)).toEqual([])
  // Changed in place, it would change for both.
  expect((await needs.of(disk)).map(({ machine: { bundle: its }, how }) => [its.name, how])).toEqual([
    ['a', 'drive'],
    ['b', 'below'],
  ])
})

test('a long history is followed once', async () => {
  const { needs, asked, bundle, image, machine } = await library()
  let below: string | null = null
  const paths: string[] = []
  for (let i = 0; i < 20; i++) {
    below = await image(join(bundle('a'), 'disks', `${i}.qcow2`), below)
    paths.push(`disks/${i}.qcow2`)
  }
  await machine(
    'a',
    [qcow2(paths.at(-1)!)],
    paths.slice(0, -1).map((path, i) => ({ label: `s${i}`, drives: [qcow2(path)] })),
  )
  const found = await needs.of(join(bundle('a'), 'disks', '0.qcow2'))
  expect(found.map(({ how, snapshot }) => [how, snapshot])).toEqual([
    ['below', null],
    ['drive', 's0'],
  ])
  expect(asked()).toBe(1)
  expect(await needs.of(join(bundle('a'), 'none'))).toEqual([])
})

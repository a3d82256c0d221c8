/** Jobs whose process is killed at any moment, and jobs on a full disk: what there is afterwards is the old state or the new one. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { checkImage } from '../../../src-main/storage/jobs/check-image.ts'
import { commitImage } from '../../../src-main/storage/jobs/commit-image.ts'
import { compactImage } from '../../../src-main/storage/jobs/compact-image.ts'
import { convertImage } from '../../../src-main/storage/jobs/convert-image.ts'
import { copyImage } from '../../../src-main/storage/jobs/copy.ts'
import { createImage } from '../../../src-main/storage/jobs/create-image.ts'
import { rebaseImage } from '../../../src-main/storage/jobs/rebase-image.ts'
import { resizeImage } from '../../../src-main/storage/jobs/resize-image.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import { expectSame } from '../../support/disk-model.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { fillDisk, smallDisk } from '../../support/small-disk.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import type { Job } from './support/job-once.ts'

const MiB = 1024 * 1024
const SIZE = 16 * MiB
const quiet = { signal: new AbortController().signal, onProgress: () => {} }
const image = (path: string, format: DiskFormat) => ({ path, format, folders: [] })

/** A disk with data in every other MiB, of which some was discarded again. @returns what it shows */
async function filled(path: string, format: DiskFormat, mebibytes = 7): Promise<Uint8Array<ArrayBuffer>> {
  await createImage({ path, format, size: SIZE, backing: null })
  const model = new Uint8Array(SIZE)
  const disk = await openImage({ ...image(path, format), readOnly: false })
  const piece = noise(seeded(3), MiB)
  for (let i = 0; i < mebibytes; i++) {
    piece.fill(i, 0, 512)
    model.set(piece, 2 * i * MiB)
    await disk.write(2 * i * MiB, piece)
  }
  model.fill(0, 4 * MiB, 5 * MiB)
  await disk.discard(4 * MiB, MiB)
  await disk.flush()
  await disk.close()
  return model
}

/** That the image shows the disk (its first bytes, where it has another size now), and is sound. @param leaks whether room may be lost */
async function expectDisk(path: string, format: DiskFormat, model: Uint8Array, leaks = false): Promise<number> {
  const disk = await openImage({ ...image(path, format), readOnly: true })
  try {
    const { size } = disk.info
    const bytes = Math.min(size, model.length)
    expectSame(await readBytes(disk, 0, bytes), model.subarray(0, bytes), 0)
    if (size > bytes) expectSame(await readBytes(disk, bytes, size - bytes), new Uint8Array(size - bytes), bytes)
    return size
  } finally {
    await disk.close()
    const found = await checkImage(image(path, format), false, quiet)
    if (found) expect(found).toMatchObject({ corruptions: 0, ...(leaks ? {} : { leaks: 0 }) })
  }
}

/** Does it in a process that is killed so long after it began, until it was not. @param look at what is left, whether it ended or not */
async function killAtAnyMoment(
  job: (folder: string) => Promise<Job>,
  look: (folder: string, ended: boolean) => Promise<void>,
): Promise<void> {
  const script = join(import.meta.dirname, 'support', 'job-once.ts')
  let killed = 0
  for (let wait = 0; ; wait = wait * 1.4 + 3) {
    const folder = await tempFolder()
    const child = spawn(process.execPath, [script, JSON.stringify(await job(folder))], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'exit')
    await once(child.stdout, 'data') // it begins
    await sleep(wait)
    child.kill('SIGKILL')
    const [code] = (await ended) as [number | null]
    if (code === null) killed++
    // One that was killed while it wrote a lock leaves one that counts as another's for some seconds.
    await vi.waitFor(() => look(folder, code !== null), { timeout: 20_000, interval: 500 })
    if (code !== null) {
      expect(code, 'it ended well').toBe(0)
      break
    }
  }
  expect(killed).toBeGreaterThan(0)
}

describe('killed at any moment', () => {
  const LIMIT = { timeout: 120_000 }
  const exists = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    )

  test('a new image is there and whole, or not there', LIMIT, () =>
    killAtAnyMoment(
      async (folder) => ({ job: 'create', choice: { path: join(folder, 'new'), format: 'qcow2', size: SIZE, backing: null } }),
      async (folder, ended) => {
        const path = join(folder, 'new')
        if (ended || (await exists(path))) expect(await expectDisk(path, 'qcow2', new Uint8Array(SIZE))).toBe(SIZE)
      },
    ),
  )

  test.each(['qcow2', 'vdi', 'vhd', 'vmdk'] as const)(
    'one that is converted to %s appears whole, and the source stays as it is',
    LIMIT,
    async (format) => {
      let model = new Uint8Array(0)
      await killAtAnyMoment(
        async (folder) => {
          const path = join(folder, 'from')
          model = await filled(path, 'raw')
          return {
            job: 'convert',
            path,
            format: 'raw',
            target: { path: join(folder, 'to'), format, replace: false, packed: format === 'vmdk' },
          }
        },
        async (folder, ended) => {
          if (ended || (await exists(join(folder, 'to')))) await expectDisk(join(folder, 'to'), format, model)
          await expectDisk(join(folder, 'from'), 'raw', model)
        },
      )
    },
  )

  test('a file that gives way to a converted one is the old one, or the new one', LIMIT, async () => {
    let model = new Uint8Array(0)
    await killAtAnyMoment(
      async (folder) => {
        model = await filled(join(folder, 'from'), 'qcow2')
        await writeFile(join(folder, 'to'), 'what was there before')
        const target = { path: join(folder, 'to'), format: 'raw' as const, replace: true, packed: false }
        return { job: 'convert', path: join(folder, 'from'), format: 'qcow2', target }
      },
      async (folder, ended) => {
        if (!ended && (await stat(join(folder, 'to'))).size < 100) return
        await expectDisk(join(folder, 'to'), 'raw', model)
      },
    )
  })

  test('a copy is whole, or not there', LIMIT, async () => {
    let model = new Uint8Array(0)
    await killAtAnyMoment(
      async (folder) => {
        model = await filled(join(folder, 'from'), 'qcow2')
        return { job: 'copy', path: join(folder, 'from'), to: join(folder, 'to') }
      },
      async (folder, ended) => {
        if (ended || (await exists(join(folder, 'to')))) await expectDisk(join(folder, 'to'), 'qcow2', model)
        await expectDisk(join(folder, 'from'), 'qcow2', model)
      },
    )
  })

  test.each([
    { way: 'grows', size: 4096 * MiB },
    { way: 'shrinks', size: 7 * MiB },
  ])('a disk that $way has the old size or the new one, and its data', LIMIT, async ({ size }) => {
    let model = new Uint8Array(0)
    await killAtAnyMoment(
      async (folder) => {
        model = await filled(join(folder, 'disk'), 'qcow2')
        return { job: 'resize', path: join(folder, 'disk'), format: 'qcow2', size }
      },
      async (folder, ended) => {
        const disk = await openImage({ ...image(join(folder, 'disk'), 'qcow2'), readOnly: true })
        const now = disk.info.size
        await disk.close()
        expect(ended ? [size] : [SIZE, size]).toContain(now)
        // Room may be lost to a crash, data may not.
        const check = await checkImage(image(join(folder, 'disk'), 'qcow2'), true, quiet)
        expect(check).toMatchObject({ corruptions: 0 })
        const shown = await openImage({ ...image(join(folder, 'disk'), 'qcow2'), readOnly: true })
        expectSame(await readBytes(shown, 0, Math.min(now, SIZE)), model.subarray(0, Math.min(now, SIZE)), 0)
        await shown.close()
      },
    )
  })

  test.each(['raw', 'qcow2'] as const)('a compacted %s image is the same disk at every moment', LIMIT, async (format) => {
    let model = new Uint8Array(0)
    await killAtAnyMoment(
      async (folder) => {
        model = await filled(join(folder, 'disk'), format)
        const disk = await openImage({ ...image(join(folder, 'disk'), format), readOnly: false })
        await disk.write(8 * MiB, new Uint8Array(3 * MiB))
        await disk.close()
        model.fill(0, 8 * MiB, 11 * MiB)
        return { job: 'compact', path: join(folder, 'disk'), format }
      },
      async (folder) => void (await expectDisk(join(folder, 'disk'), format, model)),
    )
  })
})

/** An overlay with data of its own, over a disk with data; and another disk. @returns what the overlay shows */
async function layered(folder: string, mebibytes = 7): Promise<Uint8Array<ArrayBuffer>> {
  const model = await filled(join(folder, 'base'), 'qcow2', mebibytes)
  const over = join(folder, 'over')
  await createImage({ path: over, format: 'qcow2', size: null, backing: image(join(folder, 'base'), 'qcow2') })
  await createImage({ path: join(folder, 'other'), format: 'qcow2', size: SIZE, backing: null })
  for (const [path, from] of [
    [over, 1],
    [join(folder, 'other'), 7],
  ] as const) {
    const disk = await openImage({ path, format: 'qcow2', readOnly: false, folders: [folder] })
    for (let i = 0; i < mebibytes; i++) {
      const piece = noise(seeded(i + from), MiB)
      const offset = ((i * 3 + from) * MiB) % SIZE
      await disk.write(offset, piece)
      if (path === over) model.set(piece, offset)
    }
    await disk.close()
  }
  return model
}

/** That the overlay shows it, whatever it rests on. */
async function expectLayered(folder: string, model: Uint8Array): Promise<void> {
  const disk = await openImage({ path: join(folder, 'over'), format: 'qcow2', readOnly: true, folders: [folder] })
  try {
    expectSame(await readBytes(disk, 0, SIZE), model, 0)
  } finally {
    await disk.close()
  }
  expect(await checkImage(image(join(folder, 'over'), 'qcow2'), false, quiet)).toMatchObject({ corruptions: 0 })
}

describe('an overlay is the same disk', () => {
  const over = (folder: string): string => join(folder, 'over')
  const jobs = [
    { name: 'commit', job: (folder: string): Job => ({ job: 'commit', path: over(folder) }) },
    { name: 'rebase', job: (folder: string): Job => ({ job: 'rebase', path: over(folder), backing: join(folder, 'other') }) },
    { name: 'rebase onto nothing', job: (folder: string): Job => ({ job: 'rebase', path: over(folder), backing: null }) },
  ]

  test.each(jobs)('when a $name of it is killed at any moment, and done again', { timeout: 120_000 }, async ({ job }) => {
    let model = new Uint8Array(0)
    const again = async (folder: string): Promise<void> => {
      const next = job(folder)
      if (next.job === 'commit') await commitImage(image(next.path, 'qcow2'), quiet)
      else if (next.job === 'rebase')
        await rebaseImage(
          { image: image(next.path, 'qcow2'), backing: next.backing === null ? null : image(next.backing, 'qcow2'), unsafe: false },
          quiet,
        )
    }
    await killAtAnyMoment(
      async (folder) => {
        model = await layered(folder)
        return job(folder)
      },
      async (folder, ended) => {
        await expectLayered(folder, model)
        if (!ended) await again(folder)
        await expectLayered(folder, model)
      },
    )
  })

  test('when the disk is full', async (context) => {
    const folder = await smallDisk(context, 40)
    const model = await layered(folder)
    const free = await fillDisk(folder)
    await expect(commitImage(image(over(folder), 'qcow2'), quiet)).rejects.toMatchObject({ code: 'no-space' })
    await expectLayered(folder, model)
    const other = image(join(folder, 'other'), 'qcow2')
    for (const backing of [other, null]) {
      await expect(rebaseImage({ image: image(over(folder), 'qcow2'), backing, unsafe: false }, quiet)).rejects.toMatchObject({
        code: 'no-space',
      })
      await expectLayered(folder, model)
    }
    await free()
    await rebaseImage({ image: image(over(folder), 'qcow2'), backing: other, unsafe: false }, quiet)
    await expectLayered(folder, model)
  })
})

describe('on a full disk', () => {
  test('nothing is lost, and nothing is left of what could not be made', async (context) => {
    const folder = await smallDisk(context, 24)
    const path = join(folder, 'disk')
    const model = await filled(path, 'qcow2', 7)
    const before = await readdir(folder)
    const target = { path: join(folder, 'to'), format: 'raw' as const, replace: false, packed: false }
    const jobs: (() => Promise<unknown>)[] = [
      () => createImage({ path: join(folder, 'new'), format: 'qcow2', size: SIZE, backing: null }),
      () => convertImage(image(path, 'qcow2'), target, quiet),
      () => copyImage(path, join(folder, 'to'), quiet),
      () => resizeImage(image(path, 'qcow2'), 16 * 1024 * 1024 * MiB, false),
    ]
    const free = await fillDisk(folder)
    for (const job of jobs) {
      await expect(job()).rejects.toMatchObject({ code: 'no-space' })
      expect(await expectDisk(path, 'qcow2', model, true)).toBe(SIZE)
      expect((await readdir(folder)).filter((name) => name !== '.filler')).toEqual(before)
    }
    // Compacting needs room for what it writes anew; where there is none, the image stays.
    await compactImage(image(path, 'qcow2'), quiet).catch((error: unknown) => expect(error).toMatchObject({ code: 'no-space' }))
    await expectDisk(path, 'qcow2', model, true)
    await free()
    await compactImage(image(path, 'qcow2'), quiet)
    await expectDisk(path, 'qcow2', model)
  })
})

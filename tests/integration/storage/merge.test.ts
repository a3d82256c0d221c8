/** Merged chains as QEMU sees them; merges that die, and merges on a full disk. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, readdir, statfs, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { mergeLayers } from '../../../src-main/storage/jobs/merge-layers.ts'
import { openLayer } from '../../../src-main/storage/open-image.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import { expectChain, makeChain, openNewest, type ChainLayer, type DiskChain } from '../../support/disk-chain.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { smallDisk } from '../../support/small-disk.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const MiB = 1024 * 1024
const quiet = { signal: new AbortController().signal, onProgress: () => {} }

describe.skipIf(WITHOUT_QEMU_IMG)('merging chains that qemu-img made', () => {
  /** Writes patterns, zeroes and discards. */
  async function scribble(path: string, size: number, count: number, random: (below: number) => number): Promise<void> {
    const commands = Array.from({ length: count }, () => {
      const length = 512 * (1 + random(Math.min(2000, size / 512 / 3)))
      const offset = 512 * random((size - length) / 512 + 1)
      const kind = ['write -z', 'discard', 'write -P 17', 'write -P 99', 'write -P 201'][random(5)]!
      return `${kind} ${offset} ${length}`
    })
    await qemuIo('qcow2', path, ...commands)
  }

  test.each([1, 2, 3, 4])('in any order, with compressed clusters and other sizes of clusters and disks (%i)', async (seed) => {
    const random = seeded(seed)
    const folder = await tempFolder()
    const place = (name: string): string => join(folder, name)
    const sizes = [8 * MiB, (5 + 3 * random(3)) * MiB + 512 * random(9), (4 + random(8)) * MiB, 9 * MiB + 5 * 512]
    const options = ['cluster_size=64k', 'cluster_size=4k,lazy_refcounts=on', 'compat=0.10,cluster_size=16k', 'cluster_size=512']
    const layers: ChainLayer[] = []
    for (const [i, size] of sizes.entries()) {
      const path = place(`${i}.img`)
      const format: DiskFormat = i === 0 && seed % 2 === 0 ? 'raw' : 'qcow2'
      const own = options[(i + seed) % options.length]!
      const below = layers.at(-1)
      if (format === 'raw') {
        await qemuImg('create', '-q', '-f', 'raw', path, String(size))
        await qemuIo('raw', path, 'write -P 7 1m 3m')
      } else {
        const backing = below ? ['-b', `${i - 1}.img`, '-F', below.format] : []
        await qemuImg('create', '-q', '-f', 'qcow2', '-o', own, ...backing, path, String(size))
        await scribble(path, size, 8, random)
        if (i === 1) {
          // The same disk with everything compressed, still over what is below it.
          await qemuImg(
            'convert',
            '-q',
            '-c',
            '-O',
            'qcow2',
            '-o',
            own,
            ...(below ? ['-B', place('0.img'), '-F', below.format] : []),
            path,
            place('c'),
          )
          await qemuImg('rebase', '-q', '-u', '-f', 'qcow2', '-b', '0.img', '-F', below!.format, place('c'))
          await qemuImg('convert', '-q', '-O', 'raw', path, place('before'))
          await qemuImg('compare', '-q', '-f', 'raw', '-F', 'qcow2', place('before'), place('c'))
          layers.push({ path: place('c'), format })
          continue
        }
      }
      layers.push({ path, format })
    }
    await qemuImg('rebase', '-q', '-u', '-f', 'qcow2', '-b', 'c', '-F', 'qcow2', place('2.img'))
    const flat = place('flat')
    await qemuImg('convert', '-q', '-f', 'qcow2', '-O', 'raw', layers.at(-1)!.path, flat)
    while (layers.length > 1) {
      const at = random(layers.length - 1)
      await mergeLayers({ lower: layers[at]!, upper: layers[at + 1]!, folders: [] }, quiet)
      layers.splice(at, 1)
      await qemuImg('compare', '-q', '-f', 'raw', '-F', 'qcow2', flat, layers.at(-1)!.path)
      for (const { path, format } of layers) if (format === 'qcow2') await qemuImg('check', '-q', '-f', format, path)
    }
  })

  test('an internal snapshot is refused, and goes on as before', async () => {
    const folder = await tempFolder()
    const [lower, upper] = [join(folder, '0.img'), join(folder, '1.img')]
    await qemuImg('create', '-q', '-f', 'qcow2', lower, '4M')
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', '0.img', '-F', 'qcow2', upper)
    await qemuImg('snapshot', '-c', 'before the update', upper)
    const choice = { lower: { path: lower, format: 'qcow2' as const }, upper: { path: upper, format: 'qcow2' as const }, folders: [] }
    await expect(mergeLayers(choice, quiet)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('“before the update”') as string,
    })
    await qemuImg('check', '-q', upper)
    await qemuImg('snapshot', '-d', 'before the update', upper)
    await mergeLayers(choice, quiet)
    expect((await readdir(folder)).sort()).toEqual(['1.img'])
  })
})

/** Two layers over a raw one, with so many MiB of data each. */
async function filled(folder: string, lower: number, upper: number): Promise<DiskChain> {
  const size = 64 * MiB
  const chain = await makeChain(folder, [{ raw: 512 }, { size }, { size }], 0, seeded(1))
  const piece = noise(seeded(2), MiB)
  for (const [index, count] of [
    [1, lower],
    [2, upper],
  ] as const) {
    const layer = await openLayer({ ...chain.layers[index]!, readOnly: false })
    for (let i = 0; i < count; i++) await layer.write((i * 5 + index * 3) * MiB, piece.fill(16 * index + i, 0, 512))
    await layer.close()
  }
  const newest = await openNewest(chain)
  chain.model = await readBytes(newest, 0, size)
  await newest.close()
  return chain
}

const ways = [
  { way: 'up', lower: 3, upper: 6 },
  { way: 'down', lower: 6, upper: 3 },
]

describe('a merge that cannot end', () => {
  test.each(ways)('is done by the next one after its process was killed: $way', async ({ lower, upper }) => {
    const script = join(import.meta.dirname, 'support', 'merge-once.ts')
    let killed = 0
    for (let wait = 0; ; wait += 10) {
      const chain = await filled(await tempFolder(), lower, upper)
      const child = spawn(process.execPath, [script, chain.layers[1]!.path, chain.layers[2]!.path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const ended = once(child, 'exit')
      await once(child.stdout, 'data') // it begins
      await sleep(wait)
      child.kill('SIGKILL')
      const [code] = (await ended) as [number | null]
      if (code === null) killed++
      // One that was killed while it wrote a lock leaves half of it, which counts as another's for some seconds.
      const merged = { ...chain, layers: [chain.layers[2]!] }
      await vi.waitFor(() => expectChain(merged, 'leaks'), { timeout: 20_000, interval: 500 })
      await mergeLayers({ lower: chain.layers[1]!, upper: chain.layers[2]!, folders: [] }, quiet)
      await expect(access(chain.layers[1]!.path)).rejects.toMatchObject({ code: 'ENOENT' })
      await expectChain(merged, 'leaks')
      if (code === 0) break
    }
    expect(killed).toBeGreaterThan(0)
  })

  test.for(ways)('because the disk is full leaves the disk as it was: $way', async ({ lower, upper }, context) => {
    const folder = await smallDisk(context, 16)
    const chain = await filled(folder, lower, upper)
    const choice = { lower: chain.layers[1]!, upper: chain.layers[2]!, folders: [] }
    for (const room of [8, 200, 1000, 2500]) {
      const { bavail, bsize } = await statfs(folder)
      await writeFile(join(folder, 'filler'), new Uint8Array(bavail * bsize - room * 1024))
      await expect(mergeLayers(choice, quiet)).rejects.toMatchObject({ code: 'no-space' })
      await expectChain({ ...chain, layers: [chain.layers[2]!] }, 'leaks')
      await unlink(join(folder, 'filler'))
    }
    await mergeLayers(choice, quiet)
    chain.layers.splice(1, 1)
    await expectChain(chain, 'leaks')
  })
})

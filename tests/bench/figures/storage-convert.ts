/**
 * Raw to qcow2 by the storage thread's job, as `coppice disk convert` runs it: the target is on the disk when it is done. qemu-img by itself leaves the
 * target in the system's cache (its cache mode for targets is "unsafe"), so that equals are compared in two ways: the job beside qemu-img and a sync after
 * it, and the job's own parts on a file that ignores syncs beside qemu-img as it is. With the fastest flags qemu-img does sync.
 */
import { open, rm } from 'node:fs/promises'
import path from 'node:path'
import { byteFile } from '../../../src-main/storage/file/open-byte-file.ts'
import { createQcow2 } from '../../../src-main/storage/formats/qcow2/create-qcow2.ts'
import { openQcow2 } from '../../../src-main/storage/formats/qcow2/open-qcow2.ts'
import { pour } from '../../../src-main/storage/jobs/pour.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import type { Figure } from '../figure.ts'
import { elapsed, qemuImg, settled } from '../support/bench-storage.ts'
import type { StorageBench } from '../support/storage-bench.ts'

/** Converting what is sparse takes so little time that it is done more often. */
const RUNS = { random: 3, sparse: 9 }
const MB = 1e6
const FASTEST = ['-t', 'none', '-T', 'none', '-W', '-m', '16']

export async function convertFigures(bench: StorageBench): Promise<Figure[]> {
  const { folder, size } = bench
  const target = path.join(folder, 'converted.qcow2')
  const figures: Figure[] = []
  for (const [kind, source] of [
    ['random', bench.random],
    ['sparse', bench.sparse],
  ] as const) {
    const ways: [() => Promise<unknown>, number[]][] = [
      [() => convert(bench, source, target), []],
      [() => convertUnsynced(source, target), []],
      [() => qemuImg('convert', '-f', 'raw', '-O', 'qcow2', source, target), []],
      [() => qemuImg('convert', '-f', 'raw', '-O', 'qcow2', source, target).then(() => settled(target)), []],
      [() => qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...FASTEST, source, target), []],
    ]
    await settled(source)
    // The first round warms up and does not count.
    for (let run = 0; run <= RUNS[kind]; run++)
      for (const [way, values] of ways) {
        const ms = await elapsed(way)
        if (run > 0) values.push(size / MB / (ms / 1000))
        await settled(target)
        await rm(target)
      }
    const [ours, unsynced, usual, synced, fastest] = ways.map(([, values]) => values)
    const name = `Convert raw to qcow2, ${size / 2 ** 20} MiB, ${kind}`
    figures.push(
      { name, unit: 'MB/s', values: ours!, anchor: { name: 'qemu-img convert, then a sync', values: synced! }, target: '≥ 1.0×' },
      { name: `${name}, no sync`, unit: 'MB/s', values: unsynced!, anchor: { name: 'qemu-img convert', values: usual! }, target: '≥ 1.0×' },
      { name, unit: 'MB/s', values: ours!, anchor: { name: `qemu-img convert ${FASTEST.join(' ')}`, values: fastest! }, target: '≥ 0.8×' },
    )
  }
  return figures
}

function convert({ storage }: StorageBench, from: string, to: string): Promise<unknown> {
  return storage.convert({
    job: 'bench',
    from: { path: from, format: 'raw', folders: [] },
    to: { path: to, format: 'qcow2', packed: false, replace: false },
  })
}

async function convertUnsynced(source: string, target: string): Promise<void> {
  const real = byteFile(await open(target, 'wx+'), target, 0, false)
  const file = {
    ...real,
    get size() {
      return real.size
    },
    sync: async () => {},
  }
  const from = await openImage({ path: source, format: 'raw', readOnly: true })
  await createQcow2(file, { size: from.info.size })
  const to = await openQcow2(file, { openBacking: async () => null })
  await pour(from, { data: (offset, bytes) => to.write(offset, bytes) }, { grain: to.clusterSize, progress: () => {} })
  await to.close()
  await from.close()
}

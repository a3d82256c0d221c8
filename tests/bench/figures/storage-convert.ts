/**
 * Raw to qcow2 by the storage thread's job, as `coppice disk convert` runs it: the target is on the disk when it is done. qemu-img by itself leaves the
 * target in the system's cache; so it is also measured with a sync after it.
 */
import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { Figure } from '../figure.ts'
import { elapsed, qemuImg, settled } from '../support/bench-storage.ts'
import type { StorageBench } from '../support/storage-bench.ts'

const RUNS = 3
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
      [() => qemuImg('convert', '-f', 'raw', '-O', 'qcow2', source, target), []],
      [() => qemuImg('convert', '-f', 'raw', '-O', 'qcow2', source, target).then(() => settled(target)), []],
      [() => qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...FASTEST, source, target), []],
    ]
    await settled(source)
    // The first round warms up and does not count.
    for (let run = 0; run <= RUNS; run++)
      for (const [way, values] of ways) {
        const ms = await elapsed(way)
        if (run > 0) values.push(size / MB / (ms / 1000))
        await settled(target)
        await rm(target)
      }
    const [ours, usual, synced, fastest] = ways.map(([, values]) => values)
    const figure = { name: `Convert raw to qcow2, ${size / 2 ** 20} MiB, ${kind}`, unit: 'MB/s', values: ours! }
    figures.push(
      { ...figure, anchor: { name: 'qemu-img convert', values: usual! }, target: '≥ 1.0×' },
      { ...figure, anchor: { name: 'qemu-img convert, then a sync', values: synced! }, target: '≥ 1.0×' },
      { ...figure, anchor: { name: `qemu-img convert ${FASTEST.join(' ')}`, values: fastest! }, target: '≥ 0.8×' },
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

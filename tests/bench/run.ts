/**
 * `npm run bench [-- NAME …]`: measures every figure beside its anchor, prints Markdown, and writes JSON and Markdown to tests/.output/bench/.
 * Figures are medians; the ratio is the median of ours over the median of the anchor's, taken in the same run.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import type { Figure } from './figure.ts'
import { blockRingFigures } from './figures/block-ring.ts'
import { bootFigures } from './figures/boot.ts'
import { displayFigures } from './figures/display.ts'
import { guestDiskFigures } from './figures/guest-disk.ts'
import { idleFigure } from './figures/idle.ts'
import { libraryFigure } from './figures/library.ts'
import { networkGuestFigures } from './figures/network-guest.ts'
import { networkSwitchFigures } from './figures/network-switch.ts'
import { networkNatFigures } from './figures/network-nat.ts'
import { powerOnFigures } from './figures/power-on.ts'
import { qemuSuspendFigures } from './figures/qemu-suspend.ts'
import { rpcFigures } from './figures/rpc.ts'
import { screenFigures } from './figures/screen.ts'
import { screenCostFigures } from './figures/screen-cost.ts'
import { serveFigures } from './figures/serve.ts'
import { snapshotFigures } from './figures/snapshots.ts'
import { storageFigures } from './figures/storage.ts'

const GROUPS: Record<string, () => Promise<Figure[]>> = {
  boot: bootFigures,
  'power-on': powerOnFigures,
  'qemu-suspend': qemuSuspendFigures,
  idle: async () => [await idleFigure()],
  display: displayFigures,
  screen: screenFigures,
  'screen-cost': screenCostFigures,
  serve: serveFigures,
  library: async () => [await libraryFigure()],
  rpc: rpcFigures,
  storage: () => storageFigures(),
  'block-ring': blockRingFigures,
  'guest-disk': guestDiskFigures,
  'network-nat': networkNatFigures,
  snapshots: () => snapshotFigures(),
  'network-switch': networkSwitchFigures,
  'network-guest': networkGuestFigures,
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function show(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toPrecision(2)
}

function row(figure: Figure): string {
  const ours = median(figure.values)
  const spread = `${show(Math.min(...figure.values))}–${show(Math.max(...figure.values))}`
  const anchor = figure.anchor ? `${show(median(figure.anchor.values))} (${figure.anchor.name})` : '—'
  const ratio = figure.anchor ? `${show(ours / median(figure.anchor.values))}×` : '—'
  return `| ${figure.name} | ${show(ours)} ${figure.unit} | ${spread} | ${anchor} | ${ratio} | ${figure.target ?? '—'} |`
}

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !(name in GROUPS))
if (unknown.length > 0) {
  console.error(`There is no figure named ${unknown.join(', ')}. There are: ${Object.keys(GROUPS).join(', ')}.`)
  process.exit(2)
}
const figures: Figure[] = []
for (const [name, measure] of Object.entries(GROUPS)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  console.error(`measuring ${name} …`)
  figures.push(...(await measure()))
}

const machine = `${os.cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GiB, ${os.type()} ${os.release()}, Node ${process.versions.node}`
const at = new Date().toISOString()
const markdown = [
  `${at.slice(0, 10)}, ${machine}`,
  '',
  '| figure | median | range | anchor | ratio | target |',
  '|---|---|---|---|---|---|',
  ...figures.map(row),
  '',
].join('\n')
const folder = path.resolve(import.meta.dirname, '../.output/bench')
await mkdir(folder, { recursive: true })
await writeFile(path.join(folder, 'bench.json'), JSON.stringify({ at, machine, figures }, null, 2))
await writeFile(path.join(folder, 'bench.md'), markdown)
console.log(markdown)
process.exit(0)

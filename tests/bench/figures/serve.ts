/** From the command `coppice serve` to an interactive page, and what the host costs while no machine runs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { chromium } from 'playwright'
import { chromiumArgs, findChromium } from '../../support/chromium.ts'
import type { Figure } from '../figure.ts'

const RUNS = 5
const IDLE_SECONDS = 20
const COPPICE = path.resolve(import.meta.dirname, '../../../bin/coppice')
/** USER_HZ of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

export async function serveFigures(): Promise<Figure[]> {
  const browser = await chromium.launch({ executablePath: findChromium()!, args: chromiumArgs })
  const interactive: number[] = []
  const idleCpu: number[] = []
  const resident: number[] = []
  try {
    for (let run = 0; run < RUNS; run++) {
      const library = await mkdtemp(path.join(tmpdir(), 'coppice-bench-'))
      const from = performance.now()
      const child = spawn(COPPICE, ['serve', '--port', '0', '--library', library], { stdio: ['ignore', 'pipe', 'inherit'] })
      try {
        const [line] = (await once(child.stdout, 'data')) as [Buffer]
        const url = /http:\S+/.exec(String(line))?.[0]
        if (!url) throw new Error(`No address in: ${String(line)}`)
        const page = await browser.newPage()
        await page.goto(url)
        await page
          .getByRole('button', { name: /Coppice Linux/ })
          .first()
          .click({ trial: true })
        interactive.push(performance.now() - from)
        await page.close()
        if (run === 0 && process.platform === 'linux') {
          await sleep(3000)
          const pid = await hostPid(child.pid!)
          const before = await cpuTicks(pid)
          await sleep(IDLE_SECONDS * 1000)
          idleCpu.push(((await cpuTicks(pid)) - before) / TICKS_PER_SECOND / IDLE_SECONDS / 0.01)
          resident.push(Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))![1]) / 1024)
        }
      } finally {
        child.kill('SIGTERM')
        if (child.exitCode === null) await once(child, 'exit')
        await rm(library, { recursive: true, force: true })
      }
    }
  } finally {
    await browser.close()
  }
  return [
    { name: '`coppice serve` to an interactive page', unit: 'ms', values: interactive, target: '≤ 2000 ms' },
    { name: 'Host with no machine running, CPU', unit: '% of a core', values: idleCpu, target: '≤ 1 %' },
    { name: 'Host with no machine running, resident memory', unit: 'MiB', values: resident, target: '≤ 150 MB' },
  ]
}

/** The process that really is the host, under launchers that may stand in between. */
async function hostPid(pid: number): Promise<number> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').filter(Boolean)
  return children.length === 1 ? hostPid(Number(children[0])) : pid
}

async function cpuTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

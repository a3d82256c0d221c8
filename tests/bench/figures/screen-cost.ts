/**
 * What a screen costs that does not change: the host with all its threads, while the window shows it, while the window shows it and is out of sight
 * itself, and while nobody looks. On the embedded engine the guest is in these figures, too: what counts is the difference.
 */
import type { Figure } from '../figure.ts'
import { cpuShare } from '../support/process-cpu.ts'
import { ShownMachine } from '../support/shown-machine.ts'

const RUNS = 3
const MS = 4000

export async function screenCostFigures(): Promise<Figure[]> {
  return [...(await figuresOf('embedded')), ...(await figuresOf('qemu'))]
}

async function figuresOf(engine: 'embedded' | 'qemu'): Promise<Figure[]> {
  const shown = await ShownMachine.open(engine)
  try {
    const [seen, hidden, unseen]: [number[], number[], number[]] = [[], [], []]
    const share = (): Promise<number> => cpuShare(shown.hostPid, MS)
    for (let run = 0; run < RUNS; run++) {
      await shown.page.waitForTimeout(1000)
      seen.push(await share())
      await shown.setHidden(true)
      await shown.page.waitForTimeout(1000)
      hidden.push(await share())
      await shown.setHidden(false)
      await shown.leave()
      await shown.page.waitForTimeout(1000)
      unseen.push(await share())
      await shown.comeBack()
    }
    const anchor = { name: 'nobody looks', values: unseen }
    const unit = '% of a core'
    return [
      { name: `idle screen in the window, host, ${engine}`, unit, values: seen, anchor, target: '≤ 2 % more than unseen' },
      { name: `idle screen in a hidden window, host, ${engine}`, unit, values: hidden, anchor, target: '0 % more than unseen' },
    ]
  } finally {
    await shown.close()
  }
}

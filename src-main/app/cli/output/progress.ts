/** Progress of one task: a line that is drawn over, on a terminal only. */
import type { Task } from '../../../../src-shared/api/tasks.ts'
import { formatBytes } from '../../../../src-shared/base/units.ts'
import { oneLine } from './text.ts'

const BAR_CELLS = 24

/** "[######······]  25 %  3 MiB of 12 MiB  Downloading" in at most `columns` characters. */
export function progressLine(task: Pick<Task, 'title' | 'step' | 'progress'>, columns: number): string {
  const what = oneLine(task.step === '' ? task.title : task.step)
  const { progress } = task
  const parts: string[] = []
  if (progress && progress.total > 0) {
    const share = Math.min(1, Math.max(0, progress.done / progress.total))
    const filled = Math.round(share * BAR_CELLS)
    parts.push(`[${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}]`, `${String(Math.floor(share * 100)).padStart(3)} %`)
    if (progress.unit === 'bytes') parts.push(`${formatBytes(progress.done)} of ${formatBytes(progress.total)}`)
  }
  const line = [...parts, what].join('  ')
  const cells = [...line]
  return cells.length > columns ? `${cells.slice(0, Math.max(0, columns - 1)).join('')}…` : line
}

export class ProgressBar {
  #stream: NodeJS.WriteStream
  #drawn = false

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  show(task: Task): void {
    if (!this.#stream.isTTY || task.state !== 'running') return
    // Terminals that do not know their width say 0. One column stays free: a full line makes some terminals wrap.
    const columns = this.#stream.columns || 80
    this.#stream.write(`\r\u001b[K${progressLine(task, columns - 1)}`)
    this.#drawn = true
  }

  clear(): void {
    if (this.#drawn) this.#stream.write('\r\u001b[K')
    this.#drawn = false
  }
}

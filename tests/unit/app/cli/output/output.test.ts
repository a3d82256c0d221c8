import { describe, expect, it } from 'vitest'
import { ProgressBar, progressLine } from '../../../../../src-main/app/cli/output/progress.ts'
import { formatTable } from '../../../../../src-main/app/cli/output/table.ts'
import { oneLine, printable } from '../../../../../src-main/app/cli/output/text.ts'
import type { Task } from '../../../../../src-shared/api/tasks.ts'

describe('formatTable', () => {
  it('aligns columns and leaves the last as it is', () => {
    const rows = [
      { name: 'a', size: '5 B', id: '1' },
      { name: 'größer', size: '1.5 GiB', id: '22' },
    ]
    const lines = formatTable(rows, [
      { title: 'NAME', cell: (row) => row.name },
      { title: 'SIZE', align: 'right', cell: (row) => row.size, style: (text) => `<${text}>` },
      { title: 'ID', cell: (row) => row.id },
    ])
    expect(lines).toEqual(['NAME       SIZE  ID', 'a       <    5 B>  1', 'größer  <1.5 GiB>  22'])
  })

  it('does not let a name drive the terminal', () => {
    expect(formatTable([{ name: 'a\u001b[2J\nb' }], [{ title: 'NAME', cell: (row) => row.name }])[1]).toBe('a\\x1b[2J b')
  })
})

describe('text', () => {
  it('shows control characters', () => {
    expect(printable('a\u0007\r\nb\u202e\tc')).toBe('a\\x07\\x0d\nb\\x202e\tc')
    expect(oneLine('one\n  two\r\nthree')).toBe('one two three')
  })
})

describe('progressLine', () => {
  const progress = (done: number, total: number, unit: 'bytes' | 'steps'): Task['progress'] => ({ done, total, unit })

  it('shows share, size and step', () => {
    expect(progressLine({ title: 'Creating “a”', step: 'Downloading', progress: progress(3 * 2 ** 20, 12 * 2 ** 20, 'bytes') }, 80)).toBe(
      '[######..................]   25 %  3 MiB of 12 MiB  Downloading',
    )
    expect(progressLine({ title: 'Creating “a”', step: 'Packing', progress: progress(9, 4, 'steps') }, 80)).toBe(
      `[${'#'.repeat(24)}]  100 %  Packing`,
    )
  })

  it('shows the title where nothing is known, and fits the terminal', () => {
    expect(progressLine({ title: 'Creating “a”', step: '', progress: null }, 80)).toBe('Creating “a”')
    expect(progressLine({ title: 'Creating “a”', step: '', progress: null }, 6)).toBe('Creat…')
  })

  it('draws nothing where there is no terminal', () => {
    const written: string[] = []
    const stream = { isTTY: false, write: (text: string) => written.push(text) > 0 } as unknown as NodeJS.WriteStream
    const bar = new ProgressBar(stream)
    bar.show({ title: 'x', step: '', progress: null, state: 'running' } as Task)
    bar.clear()
    expect(written).toEqual([])
  })
})

import { describe, expect, test } from 'vitest'
import { fuzzyScore, search } from '../../../../src-renderer/shell/palette-search.ts'

const labels = (query: string, candidates: { id: string; label: string; keywords?: string }[], recent: string[] = []): string[] =>
  search(candidates, query, recent, 10).map((candidate) => candidate.label)
const of = (...names: string[]) => names.map((label, at) => ({ id: String(at), label }))

describe('the palette’s search', () => {
  test('takes letters in order and refuses others', () => {
    expect(fuzzyScore('ssp', 'Discard suspended state')).toBeGreaterThan(0)
    expect(fuzzyScore('xyz', 'Suspend')).toBe(0)
    expect(fuzzyScore('dneps', 'Suspend')).toBe(0)
  })
  test('puts the beginning of the name before the beginning of a word, and that before its middle', () => {
    expect(labels('sus', of('Unsusual', 'Discard suspended state', 'Suspend'))).toEqual(['Suspend', 'Discard suspended state', 'Unsusual'])
  })
  test('finds initials', () => {
    expect(labels('nm', of('Rename', 'New machine'))[0]).toBe('New machine')
  })
  test('finds keywords by their beginning, after names', () => {
    const candidates = [
      { id: 'a', label: 'Shut down', keywords: 'stop halt' },
      { id: 'b', label: 'Stop watching' },
    ]
    expect(labels('stop', candidates)).toEqual(['Stop watching', 'Shut down'])
    expect(labels('top', [candidates[0]!])).toEqual([])
  })
  test('shows the recently used first where nothing is typed, the rest as given', () => {
    expect(labels('', of('One', 'Two', 'Three'), ['2', '1'])).toEqual(['Three', 'Two', 'One'])
  })
})

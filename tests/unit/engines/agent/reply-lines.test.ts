import { describe, expect, test } from 'vitest'
import { MAX_VALUES, ReplyLines, SENTINEL } from '../../../../src-main/engines/agent/reply-lines.ts'
import { concatBytes, utf8 } from '../../../../src-shared/base/bytes.ts'

const LIMIT = 100

function lines(limit = LIMIT): ReplyLines {
  const made = new ReplyLines()
  made.begin(limit)
  return made
}

describe('lines of a guest', () => {
  test('come whole, however they were cut', () => {
    const bytes = utf8('{"a":"ü"}\n\nlast\nrest')
    for (const size of [1, 2, 3, 7, bytes.length]) {
      const made = lines()
      const found: (string | null)[] = []
      for (let at = 0; at < bytes.length; at += size) found.push(...made.push(bytes.subarray(at, at + size)))
      expect(found).toEqual(['{"a":"ü"}', '', 'last'])
    }
  })

  test('are forgotten at a byte of 0xff', () => {
    const made = lines()
    expect(made.push(concatBytes([utf8('old'), Uint8Array.of(SENTINEL), utf8('ne')]))).toEqual([])
    expect(made.push(utf8('w\n'))).toEqual(['new'])
  })

  test('that are too long are told once, as soon as they are, and cost no more; the next one is read', () => {
    const made = lines()
    expect(made.push(utf8('x'.repeat(LIMIT)))).toEqual([])
    expect(made.push(utf8('x'))).toEqual([null])
    for (let chunk = 0; chunk < 1000; chunk++) expect(made.push(utf8('x'.repeat(64)))).toEqual([])
    expect(made.push(utf8('x\nnext\n'))).toEqual(['next'])
    expect(lines().push(utf8(`${'x'.repeat(LIMIT + 1)}\nnext\n`))).toEqual([null, 'next'])
  })

  test('with more values than any answer has are dropped', () => {
    const made = lines(10 * MAX_VALUES)
    expect(made.push(utf8(`[${'{},'.repeat(MAX_VALUES / 2)}0]\n[1]\n`))).toEqual([null, '[1]'])
    expect(made.push(utf8(`"${'A+/='.repeat(MAX_VALUES)}"\n`))).toHaveLength(1)
  })

  test('a limit counts from the next line on', () => {
    const made = lines()
    made.push(utf8('x'.repeat(50)))
    made.begin(10)
    expect(made.push(utf8('short\n'))).toEqual(['short'])
    expect(made.push(utf8('longer than ten\n'))).toEqual([null])
  })
})

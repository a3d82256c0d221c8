import { expect, test } from 'vitest'
import { ReleaseChord } from '../../../../src-renderer/display/release-chord.ts'

/** "+ControlLeft" goes down, "-ControlLeft" up. @returns after which of them the chord was complete */
function completeAfter(keys: string): number[] {
  const chord = new ReleaseChord()
  return keys.split(' ').flatMap((key, at) => {
    const type = key.startsWith('+') ? 'keydown' : 'keyup'
    return chord.key({ type, code: key.slice(1) }) ? [at] : []
  })
}

test.each([
  ['+ControlLeft +AltLeft -AltLeft -ControlLeft', [2]],
  ['+AltLeft +ControlRight -ControlRight -AltLeft', [2]],
  // Held keys repeat.
  ['+ControlLeft +ControlLeft +AltLeft +AltLeft -AltLeft -ControlLeft', [4]],
  // Twice in a row.
  ['+ControlLeft +AltLeft -AltLeft -ControlLeft +ControlLeft +AltLeft -ControlLeft -AltLeft', [2, 6]],
  // The guest's own combinations.
  ['+ControlLeft +AltLeft +F2 -F2 -AltLeft -ControlLeft', []],
  ['+KeyA +ControlLeft +AltLeft -AltLeft -ControlLeft -KeyA', []],
  ['+ControlLeft -ControlLeft +AltLeft -AltLeft', []],
  // AltGr, as Windows reports it.
  ['+ControlLeft +AltRight -AltRight -ControlLeft', []],
])('%s', (keys, expected) => {
  expect(completeAfter(keys)).toEqual(expected)
})

test('after keys that went to somebody else it begins anew', () => {
  const chord = new ReleaseChord()
  chord.key({ type: 'keydown', code: 'KeyA' })
  chord.reset()
  for (const code of ['ControlLeft', 'AltLeft']) chord.key({ type: 'keydown', code })
  expect(chord.key({ type: 'keyup', code: 'AltLeft' })).toBe(true)
})

import { expect, test } from 'vitest'
import { wrongState } from '../../../../src-main/host/machines/wrong-state.ts'

test.each([
  ['running', '“web-1” cannot be suspended now: it is running.'],
  ['crashed', '“web-1” cannot be suspended now: it has crashed.'],
] as const)('what a machine that is %s cannot do', (state, text) => {
  expect(wrongState('suspend', 'web-1', state)).toMatchObject({ code: 'wrong-state', message: text })
})

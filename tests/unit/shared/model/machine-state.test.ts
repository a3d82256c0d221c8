import { describe, expect, test } from 'vitest'
import { isActive, isEditable, isLegal, MACHINE_STATES, POWER_ACTIONS, STATE_WORDS } from '../../../../src-shared/model/machine-state.ts'

/** What may be done when, written out: a row for each state. */
const TABLE: Record<(typeof MACHINE_STATES)[number], string> = {
  off: 'start',
  starting: 'powerOff',
  running: 'pause powerButton powerOff reset suspend',
  paused: 'resume powerOff reset suspend',
  suspending: '',
  suspended: 'start resume discardSuspend',
  resuming: 'powerOff',
  stopping: 'powerButton powerOff',
  crashed: 'start',
  broken: '',
}

describe('machine states', () => {
  test.each(MACHINE_STATES)('%s: what may be done', (state) => {
    expect(POWER_ACTIONS.filter((action) => isLegal(action, state))).toEqual(TABLE[state] === '' ? [] : TABLE[state].split(' '))
  })

  test('active ones have an engine; hardware is edited only without', () => {
    expect(MACHINE_STATES.filter(isActive)).toEqual(['starting', 'running', 'paused', 'suspending', 'resuming', 'stopping'])
    expect(MACHINE_STATES.filter(isEditable)).toEqual(['off', 'crashed'])
  })

  test('every active state but saving can be ended by pulling the plug', () => {
    for (const state of MACHINE_STATES.filter(isActive)) expect(isLegal('powerOff', state)).toBe(state !== 'suspending')
  })

  test('every state has its word', () => {
    expect(new Set(MACHINE_STATES.map((state) => STATE_WORDS[state])).size).toBe(MACHINE_STATES.length)
  })
})

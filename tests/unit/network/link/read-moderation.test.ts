import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ReadModeration } from '../../../../src-main/network/link/read-moderation.ts'

test('after bulk it rests once a turn, when what the turn caused is done', async () => {
  const done: string[] = []
  const moderation = new ReadModeration(() => done.push('rest'))
  setImmediate(() => done.push('answers written'))
  moderation.read(64 * 1024)
  moderation.read(64 * 1024)
  await turn()
  expect(done).toEqual(['answers written', 'rest'])
  moderation.read(3036)
  await turn()
  expect(done).toEqual(['answers written', 'rest', 'rest'])
})

test('a frame alone is not held back', async () => {
  let rests = 0
  const moderation = new ReadModeration(() => rests++)
  for (const bytes of [64, 1518, 1518]) moderation.read(bytes)
  await turn()
  expect(rests).toBe(0)
})

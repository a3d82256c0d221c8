import { expect, test } from 'vitest'
import { Turns } from '../../../../src-shared/base/turns.ts'

test('works run one after another, in the order of asking, and give back what they answer', async () => {
  const turns = new Turns()
  const seen: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = turns.run(async () => {
    seen.push('first begins')
    await gate.promise
    seen.push('first ends')
    return 1
  })
  const second = turns.run(() => {
    seen.push('second')
    return 2
  })
  await Promise.resolve()
  expect(seen).toEqual(['first begins'])
  gate.resolve()
  expect(await Promise.all([first, second])).toEqual([1, 2])
  expect(seen).toEqual(['first begins', 'first ends', 'second'])
})

test('one that fails tells its caller and holds up nobody', async () => {
  const turns = new Turns()
  const failing = turns.run(() => Promise.reject(new Error('no')))
  const throwing = turns.run(() => {
    throw new Error('not this either')
  })
  const next = turns.run(() => 'done')
  await expect(failing).rejects.toThrow('no')
  await expect(throwing).rejects.toThrow('not this either')
  expect(await next).toBe('done')
})

test('a turn that was taken holds the others until it is given back', async () => {
  const turns = new Turns()
  const done = await turns.take()
  let ran = false
  const next = turns.run(() => {
    ran = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(ran).toBe(false)
  done()
  await next
  expect(ran).toBe(true)
})

test('busy while somebody has the turn or waits, and not a moment longer', async () => {
  const turns = new Turns()
  expect(turns.busy).toBe(false)
  const done = await turns.take()
  expect(turns.busy).toBe(true)
  done()
  expect(turns.busy).toBe(false)
  const work = turns.run(() => {})
  expect(turns.busy).toBe(true)
  await work
  expect(turns.busy).toBe(false)
})

test('idle also waits for what is asked for meanwhile', async () => {
  const turns = new Turns()
  await turns.idle()
  const seen: string[] = []
  const first = turns.run(() => {
    void turns.run(() => void seen.push('asked for meanwhile'))
    seen.push('first')
  })
  await turns.idle()
  expect(seen).toEqual(['first', 'asked for meanwhile'])
  await first
})

test('it is known whether somebody waits', async () => {
  const turns = new Turns()
  const done = await turns.take()
  expect(turns.wanted).toBe(false)
  const next = turns.run(() => 'next')
  expect(turns.wanted).toBe(true)
  done()
  await next
  expect(turns.wanted).toBe(false)
})

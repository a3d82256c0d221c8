import { describe, expect, test } from 'vitest'
import { whyAway, whyKept } from '../../../../src-main/engines/agent/guest-shares.ts'

describe('what a guest says of unmounting', () => {
  test('done is done', () => {
    expect(whyKept('away\n')).toBeNull()
    expect(whyKept('failed old no such device\naway\n')).toBeNull()
  })

  test.each([
    ['busybox', 'kept docs umount: can’t unmount /mnt/docs: Device or resource busy\n'],
    ['util-linux', 'kept docs umount: /mnt/docs: target is busy.\n'],
  ])('in use (%s): who uses it, the first three by name', (_, kept) => {
    const why = (holders: string) => whyKept(kept + holders)
    expect(why('holder 12 cat\n')).toMatchObject({
      code: 'busy',
      message: 'The shared folder “docs” is in use in the guest by cat (process 12). Close what is open in it, then suspend.',
    })
    expect(why('holder 12 cat\nholder 13 my shell\n')?.message).toContain('by cat (process 12) and my shell (process 13).')
    expect(why(Array.from({ length: 5 }, (__, at) => `holder ${at} sh\n`).join(''))?.message).toContain(
      'by sh (process 0), sh (process 1), sh (process 2) and 2 more.',
    )
    expect(why('')?.message).toContain('by its kernel: something may be mounted in it.')
  })

  test('cannot: in its own words', () => {
    expect(whyKept('kept docs umount: must be superuser to unmount\n')).toMatchObject({
      code: 'unsupported',
      message: 'The guest could not unmount the shared folder “docs”: umount: must be superuser to unmount',
    })
    expect(whyKept('twice docs\n')).toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('“docs” mounted in several') as string,
    })
  })

  test('anything else is no success', () => {
    for (const output of ['', 'away', 'not away\n', 'kept', '\u0000'.repeat(1000)])
      expect(whyKept(output), output).toEqual(output === 'away' ? null : expect.objectContaining({ code: 'unsupported' }))
  })

  test('is shown without what terminals or windows would take for more, and not without end', () => {
    const message = whyKept(`kept docs\u001b[2J busy \u202e${'x'.repeat(100_000)}\nholder 1 a\u0007b${'y'.repeat(10_000)}\n`)!.message
    expect(message).toMatch(/“docs\[2J” is in use in the guest by aby+ \(process 1\)/)
    expect(message.length).toBeLessThan(1000)
  })
})

test('what a guest says of mounting again', () => {
  expect(whyAway('')).toEqual([])
  expect(whyAway('failed docs mount: /mnt/docs: no such device\nfailed work \n')).toEqual([
    'The guest could not mount the shared folder “docs” again: mount: /mnt/docs: no such device',
    'The guest could not mount the shared folder “work” again: ',
  ])
})

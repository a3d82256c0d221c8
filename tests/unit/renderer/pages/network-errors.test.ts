import { expect, test } from 'vitest'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { atFields, atForward } from '../../../../src-renderer/pages/networks/dialogs/network-errors.ts'

const refused = (...fields: [string, string][]): AppError => AppError.invalid(fields.map(([path, message]) => ({ path, message })))

test('what is refused of settings stands at its field, on the tab of the first', () => {
  const { error, subject } = atFields(refused(['dhcp.reservations.2.address', 'Not there.'], ['ipv4', 'Too small.']))
  expect(subject).toBe('dhcp')
  expect(error.details.fields).toEqual([
    { path: 'dhcp.reservations', message: 'Line 3: Not there.' },
    { path: 'ipv4', message: 'Too small.' },
  ])
  expect(atFields(refused(['patch.mtu', 'Too large.']))).toMatchObject({
    subject: 'general',
    error: { details: { fields: [{ path: 'mtu' }] } },
  })
  expect(atFields(refused(['dns.upstream.1', 'No address.'])).error.details.fields).toEqual([
    { path: 'dns.upstream', message: 'No address.' },
  ])
  expect(atFields(refused(['policy.rules.0.port', 'No port.'])).subject).toBe('rules')
  expect(atFields(refused(['watch.patterns.0.bytes', 'Too short.'])).subject).toBe('watch')
})

test('what no field is to blame for stays as it is', () => {
  const error = new AppError('not-found', 'It is gone.')
  expect(atFields(error)).toEqual({ error, subject: null })
  expect(atForward(error)).toBe(error)
})

test('a forward’s conflict stands at its port', () => {
  expect(atForward(refused(['forwards.4.hostPort', 'Taken.'])).details.fields).toEqual([{ path: 'forward.hostPort', message: 'Taken.' }])
})

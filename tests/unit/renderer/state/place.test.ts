import { expect, test } from 'vitest'
import { parsePlace, placeHash, type Place } from '../../../../src-renderer/state/place.ts'

test.each<Place>([
  { page: 'home' },
  { page: 'machine', id: '7c9e6679-7425-40de-944b-e07fc1f90ae7', tab: 'metrics' },
  { page: 'machine', id: 'broken:/a b/ü.coppice', tab: 'display' },
  { page: 'machine', id: 'a', tab: null },
  { page: 'display', id: '7c9e6679-7425-40de-944b-e07fc1f90ae7' },
  { page: 'activity' },
  { page: 'doctor' },
  { page: 'settings' },
  { page: 'terminal' },
])('%o survives the address', (place) => {
  expect(parsePlace(placeHash(place))).toEqual(place)
})

test.each([
  ['', 'home'],
  ['#/', 'home'],
  ['#/nonsense/1', 'home'],
  ['#/machine/', 'home'],
  ['#/machine/%E0%A4%A/console', 'machine'],
])('%s gives a page and does not throw', (hash, page) => {
  expect(parsePlace(hash).page).toBe(page)
})

test('an unknown tab is left to the machine', () => {
  expect(parsePlace('#/machine/a/weather')).toEqual({ page: 'machine', id: 'a', tab: null })
})

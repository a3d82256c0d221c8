/** Run from the root: eslint --config tests/lint/eslint.config.js . */
import js from '@eslint/js'
import svelte from 'eslint-plugin-svelte'
import globals from 'globals'
import ts from 'typescript-eslint'

const SVELTE = ['**/*.svelte', '**/*.svelte.ts']
const TYPED = ['**/*.ts', '**/*.svelte']

/** src-shared runs everywhere: what only a browser, only a worker or only Node has is out of its reach, whatever the types say. */
const ELSEWHERE = [
  'process',
  'Buffer',
  'global',
  'require',
  '__dirname',
  'setImmediate',
  'window',
  'document',
  'navigator',
  'location',
  'localStorage',
  'self',
  'postMessage',
  'importScripts',
]

export default ts.config(
  { ignores: ['node_modules', 'out', 'dist', '.cache', 'tests/.output'] },
  js.configs.recommended,
  { files: TYPED, extends: [ts.configs.recommendedTypeChecked] },
  svelte.configs.recommended,
  {
    files: TYPED,
    languageOptions: {
      parserOptions: {
        project: ['tsconfig.json', 'tsconfig.renderer.json'],
        tsconfigRootDir: new URL('../..', import.meta.url).pathname,
        extraFileExtensions: ['.svelte'],
      },
    },
    rules: {
      // tsc finds unknown names, better.
      'no-undef': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      // Interfaces are async where some implementation needs it.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      eqeqeq: 'error',
      'no-console': ['error', { allow: ['error'] }],
      // It does not see what an assertion is for: narrowing for readers, and the shapes of two compilers.
      '@typescript-eslint/no-unnecessary-type-assertion': 'off',
      // Records of functions are written with methods here, and taken apart freely; classes keep their state in #private fields.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: SVELTE,
    languageOptions: { parserOptions: { parser: ts.parser } },
    rules: {
      // Props are destructured with `let`: some of them are bindable.
      'prefer-const': 'off',
      'svelte/prefer-const': ['error', { destructuring: 'all', excludedRunes: ['$props', '$derived', '$state'] }],
      // Saying which snippet is the content is no fault.
      'svelte/no-useless-children-snippet': 'off',
      // Dates, maps and sets that nothing watches may be plain.
      'svelte/prefer-svelte-reactivity': 'off',
      // In templates the parser loses types that svelte-check knows.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      // svelte-check reports those, and knows all warnings.
      'svelte/no-unused-svelte-ignore': 'off',
    },
  },
  {
    files: ['src-shared/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...ELSEWHERE.map((name) => ({ name, message: 'src-shared runs in Node, in windows and in workers.' })),
      ],
    },
  },
  {
    files: ['tests/**/*.ts'],
    rules: {
      'no-console': 'off',
      // Playwright reads from the first parameter which fixtures a test wants.
      'no-empty-pattern': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-base-to-string': 'off',
    },
  },
  // Programs: what they print is what they are for.
  { files: ['src-main/app/cli/**/*.ts', 'src-main/appliance/place-firmware.ts'], rules: { 'no-console': 'off' } },
  { files: ['**/*.mjs', '**/*.js', '**/*.cjs'], languageOptions: { globals: globals.node } },
)

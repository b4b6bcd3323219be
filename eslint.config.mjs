import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

/** What each tier may import: itself and everything below. Apps meet over the network, never by import. */
const tiers = ['tier:0', 'tier:1', 'tier:2'];
const depConstraints = [
  ...tiers.map((tier, rank) => ({ sourceTag: tier, onlyDependOnLibsWithTags: tiers.slice(0, rank + 1) })),
  { sourceTag: 'type:app', onlyDependOnLibsWithTags: [...tiers, 'scope:testing'] },
  { sourceTag: 'scope:testing', onlyDependOnLibsWithTags: [...tiers, 'scope:testing'] },
  { sourceTag: 'uses:store', onlyDependOnLibsWithTags: ['*'] },
  { notDependOnLibsWithTags: ['scope:store'], sourceTag: 'without:store' },
];

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '**/generated/**', '.nx/**'] },
  ...tseslint.configs.recommended,
  // Loaded before everything else, with --require.
  { files: ['**/*.cjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
  {
    files: ['**/*.ts'],
    plugins: { '@nx': nx },
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@nx/enforce-module-boundaries': ['error', { depConstraints, enforceBuildableLibDependency: false }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-empty-object-type': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'max-lines': ['error', { max: 500 }],
    },
  },
);

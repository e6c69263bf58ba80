module.exports = { serverExternalPackages: ['graceshut'] };

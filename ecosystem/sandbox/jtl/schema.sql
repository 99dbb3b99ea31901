-- The part of JTL-Wawi's database that the inventory sync reads: own, minimal objects with the names and types of the real ones
-- (version 1.10.11). Batches end with a GO line. The views reproduce what the real ones return, with their flaws.
GO
CREATE TABLE dbo.tArtikel (
	kArtikel int NOT NULL IDENTITY(1,1),
	cArtNr nvarchar(100) NOT NULL,
	fVKNetto decimal(25,13) NOT NULL DEFAULT 0.0,
	fUVP decimal(25,13) NOT NULL DEFAULT 0.0,
	cAnmerkung nvarchar(max) NULL,
	cPreisliste char(1) NOT NULL DEFAULT 'N',
	cAktiv char(1) NOT NULL DEFAULT 'N',
	nLagerbestand decimal(25,13) NOT NULL DEFAULT 0.0,
	nMindestbestellmaenge decimal(25,13) NOT NULL DEFAULT 0.0,
	cBarcode nvarchar(255) NULL,
	cTopArtikel char(1) NULL DEFAULT 'N',
	cInet char(1) NOT NULL DEFAULT 'N',
	cDelInet char(1) NULL,
	fGewicht decimal(25,13) NOT NULL DEFAULT 0.0,
	cNeu char(1) NOT NULL DEFAULT 'N',
	cLagerArtikel char(1) NULL DEFAULT 'N',
	cTeilbar char(1) NULL DEFAULT 'N',
	cLagerAktiv char(1) NOT NULL DEFAULT 'N',
	cLagerKleinerNull char(1) NOT NULL DEFAULT 'N',
	nMidestbestand decimal(25,13) NOT NULL DEFAULT 0.0,
	fEKNetto decimal(25,13) NOT NULL DEFAULT 0.0,
	fEbayPreis decimal(25,13) NOT NULL DEFAULT 0.0,
	cLagerVariation char(1) NOT NULL DEFAULT 'N',
	nDelete tinyint NULL DEFAULT 0,
	dMod datetime2(2) NULL,
	fPackeinheit decimal(25,13) NOT NULL DEFAULT 0,
	nVPE tinyint NULL,
	fVPEWert decimal(25,13) NOT NULL DEFAULT 0.0,
	cSuchbegriffe nvarchar(255) NULL,
	cTaric nvarchar(20) NULL,
	cHerkunftsland nvarchar(64) NULL,
	kSteuerklasse int NOT NULL DEFAULT 0,
	dErstelldatum datetime2(2) NULL,
	dErscheinungsdatum datetime2(2) NULL,
	nSort int NULL,
	kVersandklasse int NULL,
	fArtGewicht decimal(25,13) NOT NULL DEFAULT 0,
	cHAN nvarchar(255) NULL,
	cSerie nvarchar(255) NULL,
	cISBN nvarchar(255) NULL DEFAULT '',
	cUNNummer nvarchar(255) NULL DEFAULT '',
	cGefahrnr nvarchar(255) NULL DEFAULT '',
	cASIN nvarchar(255) NULL DEFAULT '',
	kEigenschaftKombi int NOT NULL DEFAULT 0,
	kVaterArtikel int NOT NULL DEFAULT 0,
	nIstVater tinyint NOT NULL DEFAULT 0,
	nIstMindestbestand tinyint NULL,
	fAbnahmeintervall decimal(25,13) NOT NULL DEFAULT 0.0,
	kStueckliste int NOT NULL DEFAULT 0,
	cUPC nvarchar(255) NULL,
	kWarengruppe int NOT NULL DEFAULT 0,
	cEPID nvarchar(255) NULL,
	nMHD tinyint NOT NULL DEFAULT 0,
	nCharge tinyint NOT NULL DEFAULT 0,
	nNichtBestellbar tinyint NOT NULL DEFAULT 0,
	fAmazonVK decimal(25,13) NOT NULL DEFAULT 0.0,
	nPufferTyp tinyint NULL,
	nPuffer int NOT NULL,
	nProzentualePreisStaffelAktiv tinyint NOT NULL DEFAULT 0,
	nSeriennummernVerfolgung tinyint NOT NULL DEFAULT 0,
	kHersteller int NULL,
	kLieferStatus int NULL,
	kMassEinheit int NULL,
	fMassMenge decimal(25,13) NOT NULL DEFAULT 0.0,
	kGrundPreisEinheit int NULL,
	fGrundpreisMenge decimal(25,13) NOT NULL DEFAULT 0.0,
	fBreite decimal(25,13) NOT NULL DEFAULT 0.0,
	fHoehe decimal(25,13) NOT NULL DEFAULT 0.0,
	fLaenge decimal(25,13) NOT NULL DEFAULT 0.0,
	kVPEEinheit int NULL,
	nLiefertageWennAusverkauft int NULL DEFAULT 0,
	kVerkaufsEinheit int NULL,
	dZulaufVerfuegbarAm datetime2(2) NULL,
	nAutomatischeLiefertageberechnung tinyint NULL DEFAULT 1,
	nBearbeitungszeit int NULL,
	fLetzterEK decimal(25,13) NOT NULL DEFAULT 0.0,
	dLetzterEK datetime2(2) NULL,
	kBenutzerLetzteAenderung int NULL,
	nZulaufVerfuegbarMenge decimal(25,13) NOT NULL DEFAULT 0.0,
	dNeuImSortiment datetime2(2) NULL,
	nEbayAbgleich tinyint NOT NULL DEFAULT 0,
	kZustand int NOT NULL DEFAULT 1,
	cAmazonFNSKU nvarchar(50) NULL,
	cJfsku nvarchar(50) NULL,
	nSonderTyp tinyint NOT NULL DEFAULT 0,
	bRowversion rowversion NOT NULL,
	nNichtRabattfaehig tinyint NOT NULL DEFAULT 0,
	cLabelNamen nvarchar(max) NULL,
	kDefinition int NULL,
	nIstTeilmengenArtikel tinyint NOT NULL DEFAULT 0,
	nSeriennummernstatus tinyint NOT NULL DEFAULT 0,
	CONSTRAINT PK_tArtikel PRIMARY KEY (kArtikel),
	CONSTRAINT UQ_tArtikel_cArtNr UNIQUE (cArtNr)
)
GO
CREATE TABLE dbo.tArtikelBeschreibung (
	kArtikel int NOT NULL,
	kSprache int NOT NULL,
	kPlattform int NOT NULL,
	kShop int NOT NULL,
	cName nvarchar(255) NULL,
	cBeschreibung nvarchar(max) NULL,
	cKurzBeschreibung nvarchar(max) NULL,
	cUrlPfad nvarchar(255) NULL,
	cMetaDescription nvarchar(max) NULL,
	cTitleTag nvarchar(4000) NULL,
	cMetaKeywords nvarchar(4000) NULL,
	bRowversion rowversion NOT NULL,
	CONSTRAINT PK_tArtikelBeschreibung PRIMARY KEY (kArtikel, kSprache, kPlattform, kShop)
)
GO
CREATE TABLE dbo.tlagerbestandProLagerLagerartikel (
	kArtikel int NOT NULL,
	kWarenlager int NOT NULL,
	fBestand decimal(25,13) NOT NULL DEFAULT 0.0,
	fVerfuegbarGesperrt decimal(25,13) NOT NULL DEFAULT 0.0,
	fAuslieferungGesperrt decimal(25,13) NOT NULL DEFAULT 0.0,
	bRowversion rowversion NOT NULL,
	CONSTRAINT PK_tlagerbestandProLagerLagerartikel PRIMARY KEY (kArtikel, kWarenlager),
	CHECK (fBestand >= 0),
	CHECK (fVerfuegbarGesperrt >= 0),
	CHECK (fAuslieferungGesperrt >= 0)
)
GO
CREATE TABLE dbo.tlagerbestand (
	kArtikel int NOT NULL,
	fLagerbestand decimal(25,13) NOT NULL DEFAULT 0.0,
	fVerfuegbar decimal(25,13) NOT NULL DEFAULT 0.0,
	fVerfuegbarGesperrt decimal(25,13) NOT NULL DEFAULT 0,
	fZulauf decimal(25,13) NOT NULL DEFAULT 0,
	fAufEinkaufsliste decimal(25,13) NOT NULL DEFAULT 0,
	dLieferdatum datetime NULL,
	fLagerbestandEigen decimal(25,13) NOT NULL DEFAULT 0,
	fInAuftraegen decimal(25,13) NOT NULL DEFAULT 0.0,
	nLagerAktiv tinyint NOT NULL DEFAULT 0,
	nArtikelTyp tinyint NOT NULL DEFAULT 0,
	nTeilbar tinyint NOT NULL DEFAULT 0,
	nLagerKleinerNull tinyint NOT NULL DEFAULT 0,
	fAuslieferungGesperrt decimal(25,13) NOT NULL DEFAULT 0,
	bRowversion rowversion NOT NULL,
	fProduktionGesperrt decimal(25,13) NOT NULL DEFAULT 0,
	CONSTRAINT PK_tlagerbestand PRIMARY KEY (kArtikel),
	CHECK (fInAuftraegen >= 0)
)
GO
CREATE TABLE dbo.tStueckliste (
	kStueckliste int NOT NULL,
	kArtikel int NOT NULL,
	fAnzahl decimal(25,13) NOT NULL,
	bRowversion rowversion NOT NULL,
	cKommentar nvarchar(255) NULL,
	nSort int NOT NULL DEFAULT 0,
	kVaterArtikel int NOT NULL DEFAULT -1,
	CONSTRAINT PK_tStueckliste PRIMARY KEY (kStueckliste, kArtikel),
	CHECK (fAnzahl > 0)
)
GO
CREATE TABLE dbo.tWarenLager (
	kWarenLager int NOT NULL IDENTITY(1,1),
	cName nvarchar(255) NULL,
	cKuerzel nvarchar(255) NULL,
	cLagerTyp nvarchar(255) NULL,
	cBeschreibung nvarchar(1024) NULL,
	kFirma int NULL,
	kUser int NULL,
	nFulfillment tinyint NOT NULL,
	nLagerplatzVerwaltung tinyint NOT NULL,
	nAuslieferungsPrio int NULL DEFAULT 0,
	nPackStationAktiv tinyint NULL,
	kQuellLager int NOT NULL DEFAULT 0,
	kZielLager int NOT NULL DEFAULT 0,
	nAktiv tinyint NOT NULL DEFAULT 0,
	cFfnWarehouseId nvarchar(50) NULL,
	bRowversion rowversion NOT NULL,
	cAdresszusatz nvarchar(255) NULL,
	CONSTRAINT PK_tWarenLager PRIMARY KEY (kWarenLager)
)
GO
CREATE TABLE dbo.tXMLBestellImport (
	kXMLBestellImport int NOT NULL IDENTITY(1,1),
	cText nvarchar(max) NULL,
	nPlattform tinyint NULL,
	nRechnung tinyint NULL,
	bRowversion rowversion NOT NULL,
	CONSTRAINT PK_tXMLBestellImport PRIMARY KEY (kXMLBestellImport)
)
GO
CREATE TABLE dbo.tversion (
	cVersion nvarchar(255) NOT NULL,
	bRowversion rowversion NOT NULL
)
GO
CREATE INDEX IX_tArtikel_Vater ON dbo.tArtikel (kVaterArtikel, nIstVater)
GO
CREATE INDEX IX_tArtikel_Stueckliste ON dbo.tArtikel (kStueckliste)
GO
CREATE INDEX IX_tlagerbestandProLager_Lager ON dbo.tlagerbestandProLagerLagerartikel (kWarenlager)
GO
CREATE INDEX IX_tStueckliste_Artikel ON dbo.tStueckliste (kArtikel)
GO
-- Rows that only a variant of the real views returns: duplicate pairs and a NULL quantity.
CREATE TABLE dbo.tSandboxBestand (
	kArtikel int NOT NULL,
	kWarenlager int NOT NULL,
	fBestand decimal(28,14) NULL
)
GO
-- Plain articles, bundles (whole ones; a component without a row in that warehouse is not counted), fathers (own rows, once a child).
CREATE VIEW dbo.vLagerbestandProLager AS
SELECT b.kArtikel, b.kWarenlager, CAST(b.fBestand AS decimal(28,14)) AS fBestand
FROM dbo.tlagerbestandProLagerLagerartikel b
UNION ALL
SELECT x.kArtikel, x.kWarenlager,
	CAST(CASE WHEN x.cTeilbar = 'Y' THEN x.fMenge ELSE FLOOR(x.fMenge) END AS decimal(28,14))
FROM (
	SELECT a.kArtikel, w.kWarenLager AS kWarenlager, a.cTeilbar,
		CASE
			WHEN SUM(CASE WHEN k.cLagerAktiv = 'Y' AND k.cLagerKleinerNull <> 'Y' THEN 1 ELSE 0 END) > 0
				THEN ISNULL(MIN(CASE WHEN k.cLagerAktiv = 'Y' AND k.cLagerKleinerNull <> 'Y' THEN b.fBestand / s.fAnzahl END), 0)
			ELSE ISNULL(MIN(CASE WHEN k.cLagerAktiv = 'Y' THEN b.fBestand / s.fAnzahl END), 0)
		END AS fMenge
	FROM dbo.tArtikel a
	JOIN dbo.tStueckliste s ON s.kStueckliste = a.kStueckliste
	JOIN dbo.tArtikel k ON k.kArtikel = s.kArtikel
	CROSS JOIN dbo.tWarenLager w
	LEFT JOIN dbo.tlagerbestandProLagerLagerartikel b ON b.kArtikel = k.kArtikel AND b.kWarenlager = w.kWarenLager
	WHERE a.kStueckliste <> 0
	GROUP BY a.kArtikel, w.kWarenLager, a.cTeilbar
) x
UNION ALL
SELECT v.kArtikel, b.kWarenlager, CAST(b.fBestand AS decimal(28,14))
FROM dbo.tArtikel v
JOIN dbo.tArtikel k ON k.kVaterArtikel = v.kArtikel
JOIN dbo.tlagerbestandProLagerLagerartikel b ON b.kArtikel = v.kArtikel
WHERE v.nIstVater = 1
UNION ALL
SELECT kArtikel, kWarenlager, fBestand FROM dbo.tSandboxBestand
GO
CREATE VIEW dbo.vLagerbestandAvaibleProLager AS
SELECT b.kArtikel, b.kWarenlager, CAST(b.fBestand - b.fVerfuegbarGesperrt AS decimal(28,14)) AS fAvaibleQuantity
FROM dbo.tlagerbestandProLagerLagerartikel b
UNION ALL
SELECT x.kArtikel, x.kWarenlager,
	CAST(CASE WHEN x.cTeilbar = 'Y' THEN x.fMenge ELSE FLOOR(x.fMenge) END AS decimal(28,14))
FROM (
	SELECT a.kArtikel, w.kWarenLager AS kWarenlager, a.cTeilbar,
		CASE
			WHEN SUM(CASE WHEN k.cLagerAktiv = 'Y' AND k.cLagerKleinerNull <> 'Y' THEN 1 ELSE 0 END) > 0
				THEN ISNULL(MIN(CASE WHEN k.cLagerAktiv = 'Y' AND k.cLagerKleinerNull <> 'Y' THEN b.fBestand / s.fAnzahl END), 0)
			ELSE ISNULL(MIN(CASE WHEN k.cLagerAktiv = 'Y' THEN b.fBestand / s.fAnzahl END), 0)
		END AS fMenge
	FROM dbo.tArtikel a
	JOIN dbo.tStueckliste s ON s.kStueckliste = a.kStueckliste
	JOIN dbo.tArtikel k ON k.kArtikel = s.kArtikel
	CROSS JOIN dbo.tWarenLager w
	LEFT JOIN dbo.tlagerbestandProLagerLagerartikel b ON b.kArtikel = k.kArtikel AND b.kWarenlager = w.kWarenLager
	WHERE a.kStueckliste <> 0
	GROUP BY a.kArtikel, w.kWarenLager, a.cTeilbar
) x
UNION ALL
SELECT v.kArtikel, b.kWarenlager, CAST(b.fBestand - b.fVerfuegbarGesperrt AS decimal(28,14))
FROM dbo.tArtikel v
JOIN dbo.tArtikel k ON k.kVaterArtikel = v.kArtikel
JOIN dbo.tlagerbestandProLagerLagerartikel b ON b.kArtikel = v.kArtikel
WHERE v.nIstVater = 1
UNION ALL
SELECT kArtikel, kWarenlager, fBestand FROM dbo.tSandboxBestand
GO
CREATE VIEW dbo.vLagerbestandEx AS
SELECT l.kArtikel, l.fLagerbestand, l.fVerfuegbar, l.fInAuftraegen AS fReserviert, l.fVerfuegbarGesperrt, l.fZulauf,
	l.fVerfuegbar - a.nPuffer AS fVerfuegbarExtern, l.fInAuftraegen
FROM dbo.tlagerbestand l
JOIN dbo.tArtikel a ON a.kArtikel = l.kArtikel
GO
CREATE TRIGGER dbo.tgr_tartikel_INSUP ON dbo.tArtikel AFTER INSERT, UPDATE AS
SET NOCOUNT ON
GO
CREATE TABLE dbo.temu_sandbox_marker (seed bigint NOT NULL, articles int NOT NULL)
GO

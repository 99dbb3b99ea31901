/* The table of TEMU's codes (temu_api.md 3.2, 3.3) and what each class means here.
 * Acting on a class is the client's business (temu.c); what a code means for one SKU or order is its caller's. */
#include "worker/temu/temu_codes.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct {
	int64_t code;
	enum temu_class class;
} codes[] = {
	{ TEMU_CODE_OK, TEMU_OK },
	/* gateway */
	{ 2000000, TEMU_R1 },
	{ 3000000, TEMU_BUG },
	{ 3000001, TEMU_AUTH },
	{ 3000002, TEMU_BUG },
	{ 3000003, TEMU_BUG },
	{ 3000004, TEMU_BUG },
	{ 3000010, TEMU_BUG },
	{ 3000011, TEMU_CLOCK },
	{ 3000012, TEMU_CLOCK },
	{ 3000013, TEMU_BUG },
	{ 3000014, TEMU_BUG },
	{ 3000019, TEMU_AUTH },
	{ 3000020, TEMU_AUTH },
	{ 3000021, TEMU_AUTH },
	{ 3000022, TEMU_AUTH },
	{ 3000025, TEMU_BUG },
	{ 3000026, TEMU_AUTH },
	{ 3000027, TEMU_AUTH },
	{ 3000028, TEMU_AUTH },
	{ 3000030, TEMU_BUG },
	{ 3000031, TEMU_AUTH },
	{ 3000032, TEMU_AUTH_METHOD },
	{ 3000033, TEMU_AUTH },
	{ 3000034, TEMU_AUTH },
	{ 3000040, TEMU_BUG },
	{ 4000000, TEMU_R }, /* or AUTH, by its text: temu_code_class */
	{ 4000004, TEMU_RATE },
	{ 5000000, TEMU_AUTH },
	{ 5000001, TEMU_BUG },
	{ 5000002, TEMU_BUG },
	{ 5000003, TEMU_AUTH },
	{ 6000001, TEMU_R1 },
	{ 7000000, TEMU_R1 },
	/* products and stock */
	{ 150010001, TEMU_BUG },
	{ 150010002, TEMU_R },
	{ 150010003, TEMU_BUG },
	{ 150010005, TEMU_R },
	{ 150013001, TEMU_BUG },
	{ 150013002, TEMU_BUG },
	{ 150013003, TEMU_BUG },
	/* orders and addresses */
	{ 140020001, TEMU_AUTH },
	{ 140020002, TEMU_DATA },
	{ 140020003, TEMU_AUTH },
	{ 140020005, TEMU_BUG },
	{ 140020008, TEMU_LATER },
	{ 140020009, TEMU_LATER },
	{ 140020012, TEMU_BUG },
	{ 140020013, TEMU_BUG },
	{ 140020014, TEMU_BUG },
	{ 140020015, TEMU_BUG },
	{ 180020001, TEMU_DATA },
	{ 180020003, TEMU_BUG },
	{ 180020004, TEMU_BUG },
	{ 180020008, TEMU_AUTH },
	{ 180020030, TEMU_DATA },
	/* shipments. 120012004 (already shipped) comes with success:false; the caller knows that it is good news */
	{ 120012004, TEMU_DATA },
	{ 120012007, TEMU_DATA },
	{ 120012016, TEMU_DATA },
	{ 120012041, TEMU_BUG },
	{ 120012015, TEMU_DATA },
	{ 120012023, TEMU_LATER },
	{ 120012030, TEMU_LATER },
	{ 120012031, TEMU_LATER },
	{ 120017007, TEMU_LATER },
	{ 120012034, TEMU_DATA },
	{ 120011059, TEMU_DATA },
	{ 120011092, TEMU_DATA },
	{ 120014001, TEMU_DATA },
	{ 120014003, TEMU_DATA },
	{ 120014004, TEMU_DATA },
	{ 120014005, TEMU_DATA },
	{ 120014008, TEMU_DATA },
	{ 120014019, TEMU_DATA },
	{ 120014020, TEMU_DATA },
	{ 120014023, TEMU_DATA },
	{ 120014006, TEMU_R },
	{ 120015527, TEMU_CONFIG },
	{ 120011085, TEMU_CONFIG },
	{ 120011006, TEMU_CONFIG },
	{ 120012063, TEMU_CONFIG },
	{ 120012064, TEMU_CONFIG },
	{ 120011086, TEMU_CONFIG },
	{ 120015037, TEMU_DATA },
	{ 120015026, TEMU_DATA },
	{ 120015030, TEMU_DATA },
	{ 120014022, TEMU_CONFIG },
	{ 120015002, TEMU_CONFIG },
	{ 120015528, TEMU_DATA },
	{ 120015543, TEMU_DATA },
	{ 120015539, TEMU_DATA },
	{ 120011031, TEMU_AUTH },
	{ 120011065, TEMU_CONFIG },
	{ 120011072, TEMU_CONFIG },
	{ 120011044, TEMU_BUG },
	{ 120011098, TEMU_BUG },
	{ 120011045, TEMU_BUG },
	{ 20006, TEMU_DATA },
	{ 110020001, TEMU_R },
	{ 110020002, TEMU_AUTH },
	{ 110020003, TEMU_AUTH },
};

static const struct {
	const char *name, *advice;
	enum err_class err;
} classes[] = {
#define X(name, class, advice) [TEMU_##name] = { #name, advice, class },
	TEMU_CLASSES(X)
#undef X
};

enum temu_class
temu_code_class(int64_t code, const char *text)
{
	if (code == 4000000 && text != NULL && strcasestr(text, "application information") != NULL)
		return TEMU_AUTH;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].class;
	return TEMU_STRANGE;
}

const char *
temu_class_name(enum temu_class class)
{
	return classes[class].name;
}

enum err_class
temu_class_err(enum temu_class class)
{
	return classes[class].err;
}

const char *
temu_class_advice(enum temu_class class)
{
	return classes[class].advice;
}
